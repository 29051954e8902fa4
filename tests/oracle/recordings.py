"""What a test saw from outside, for the oracle to compare with the database."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from weft.runs.v1 import event_pb2


@dataclass
class Recordings:
    """Acknowledged ids, what each watcher was sent, and the file that the counting tool writes to."""

    acknowledged_runs: set[str] = field(default_factory=set)
    acknowledged_messages: set[str] = field(default_factory=set)
    # (run id, after_seq of the first watch, events of all its watches in the order of arrival)
    watches: list[tuple[str, int, list[event_pb2.RunEvent]]] = field(default_factory=list)
    # (thread id, items of all its watches in the order of arrival, from the thread's first event to its newest)
    thread_watches: list[tuple[str, list[Any]]] = field(default_factory=list)
    effects: Path | None = None

    def initiated(self, run_id: str, message_id: str) -> None:
        self.acknowledged_runs.add(run_id)
        self.acknowledged_messages.add(message_id)

    def watched(self, run_id: str, events: Sequence[event_pb2.RunEvent], after_seq: int = 0) -> None:
        """Record what one watcher saw of a run until the stream ended, resumptions included."""
        self.watches.append((run_id, after_seq, list(events)))

    def watched_thread(self, thread_id: str, items: Sequence[Any]) -> None:
        """Record what one watcher saw of a whole thread, resumptions included, each a ThreadStreamItem."""
        self.thread_watches.append((thread_id, list(items)))
