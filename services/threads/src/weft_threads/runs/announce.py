"""What is told after a commit, so that nobody waits for a poll. It may be lost: every listener has a slower way."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from weft_core.ids import format_id

from weft_threads.events.frames import TERMINAL_TYPES, LoggedEvent, live_batches
from weft_threads.runs.telemetry import RunMetrics

# With these events of a run its thread's log has grown too.
MARKING_TYPES = TERMINAL_TYPES | {"run.started"}


class Bell(Protocol):
    """Wakes runners; never blocks."""

    def ring(self, count: int = 1) -> None: ...


class LiveWire(Protocol):
    """Carries events to the gateways; never blocks, drops when full."""

    def publish(self, watched_id: str, frame: bytes) -> None: ...


class StopWire(Protocol):
    """Tells a runner to stop a run; never blocks."""

    def signal(self, runner_id: str, run_id: str, epoch: int) -> None: ...


class Announcer:
    """Tells runners and gateways what was committed. Its methods never block and never raise."""

    def __init__(self, bell: Bell, live: LiveWire, stops: StopWire) -> None:
        self._bell, self._live, self._stops = bell, live, stops
        self._metrics = RunMetrics()

    def events(self, events: Sequence[LoggedEvent]) -> None:
        if self._metrics.is_on:
            self._metrics.seen(events)
        for run_id, frame in live_batches(events):
            self._live.publish(run_id, frame)
        for thread_id in {event.thread_id for event in events if event.type in MARKING_TYPES}:
            self.thread(thread_id)

    def thread(self, thread_id: UUID | None) -> None:
        """Say that a thread's log has grown: whoever watches it reads it."""
        if thread_id is not None:
            self._live.publish(format_id("thr", thread_id), b"")

    def ready(self, count: int = 1) -> None:
        """Wake as many runners as runs became claimable."""
        if count > 0:
            self._bell.ring(count)

    def stop(self, owner: UUID | None, run_id: UUID | None, epoch: int | None) -> None:
        """Tell the runner that owns a run to stop it. Without an owner a bell: the next claim ends it."""
        if run_id is None or epoch is None:
            return
        if owner is None:
            self._bell.ring(1)
        else:
            self._stops.signal(format_id("rnr", owner), format_id("run", run_id), epoch)
