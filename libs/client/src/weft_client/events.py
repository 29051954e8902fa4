"""One event of a run, as the SDK gives it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from weft.runs.v1.event_pb2 import RunEvent

TERMINAL: Final = frozenset({"run.succeeded", "run.failed", "run.cancelled", "run.timed_out", "run.superseded"})


@dataclass(frozen=True, slots=True)
class Event:
    """A typed view of `proto`, which has everything; its payloads are those of weft/runs/v1/event.proto."""

    proto: RunEvent

    @property
    def type(self) -> str:
        """The type as the log has it, as `message.delta`; `unknown` for one that this SDK is too old for."""
        return type_of(self.proto)

    @property
    def run_id(self) -> str:
        return self.proto.run_id

    @property
    def seq(self) -> int:
        """Its place in the run's log, from 1: what `after_seq` goes on behind."""
        return self.proto.seq

    @property
    def time(self) -> datetime:
        return self.proto.create_time.ToDatetime(UTC)

    @property
    def text(self) -> str:
        """The piece of text that a `message.delta` brings; empty for all others."""
        return self.proto.message_delta.text

    @property
    def message_id(self) -> str:
        """The message that it is about, where it is about one."""
        return str(getattr(self.payload, "message_id", ""))

    @property
    def payload(self) -> Any:
        """The message in `proto` that belongs to the type; None for an unknown one."""
        name = self.proto.WhichOneof("payload")
        return getattr(self.proto, name) if name else None

    @property
    def is_terminal(self) -> bool:
        """True for the last event of a run."""
        return self.type in TERMINAL


def type_of(event: RunEvent) -> str:
    name = event.WhichOneof("payload")
    return name.replace("_", ".", 1) if name else "unknown"
