"""A place in the life of a thread. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from weft.gateway.v1.agent_gateway_service_pb2 import (
    ThreadCursor,
    ThreadEventsRequest,
    ThreadEventsResponse,
    ThreadStreamItem,
)
from weft.runs.v1.event_pb2 import RunEvent
from weft.runs.v1.thread_event_pb2 import ThreadEvent

from weft_client.errors import InternalError
from weft_client.events import Event
from weft_client.patience import Outage
from weft_client.resume import Resumable


@dataclass(frozen=True, slots=True)
class ThreadItem:
    """An event of the thread's own log, or of the run that goes on in it: one of `thread_event` and `run_event` is set.

    `cursor` is the place behind it: given as `after`, it is where another watch goes on.
    """

    proto: ThreadStreamItem
    cursor: ThreadCursor = field(repr=False)

    @property
    def thread_event(self) -> ThreadEvent | None:
        return self.proto.thread_event if self.proto.HasField("thread_event") else None

    @property
    def run_event(self) -> Event | None:
        return Event(self.proto.run_event) if self.proto.HasField("run_event") else None

    @property
    def type(self) -> str:
        """The type as the log has it: `title.updated` of a thread, `message.delta` of a run."""
        event = self.run_event
        if event is not None:
            return event.type
        return (self.proto.thread_event.WhichOneof("payload") or "unknown").replace("_", ".", 1)


class ThreadWatch(Resumable[ThreadItem]):
    """Takes what streams bring and gives each item once, in order; see `Watch`. It ends when the thread is deleted."""

    def __init__(
        self,
        thread_id: str,
        after: ThreadCursor | None,
        outage: Outage,
        *,
        from_now: bool = False,
        until: float | None = None,
    ) -> None:
        super().__init__(thread_id, outage, until)
        # None while only the server knows where now is.
        self.cursor = None if from_now else after or ThreadCursor()
        # A cursor of the caller's that names no run goes on with the one that is going on there, from its first event.
        self._may_join = after is not None and not after.run_id

    def request(self) -> ThreadEventsRequest:
        if self.cursor is None:
            return ThreadEventsRequest(thread_id=self.subject, from_now=True)
        return ThreadEventsRequest(thread_id=self.subject, after=self.cursor)

    def admit(self, response: ThreadEventsResponse) -> Iterator[ThreadItem]:
        if not response.items:
            self._outage.heard()
        if self.cursor is None and not response.items:
            self.cursor = response.cursor
        for item in response.items:
            cursor = self._behind(item)
            if cursor is not None and not self.is_ended:
                self._outage.heard()
                self.cursor, self._may_join = cursor, self._may_join and not cursor.run_id
                self.is_ended = item.thread_event.HasField("thread_deleted")
                yield ThreadItem(item, cursor)

    def ended(self, now: float) -> float:
        if self.is_ended:
            return 0.0
        return self.broken(InternalError("", f"the stream of {self.subject} ended before the thread"), now)

    def _behind(self, item: ThreadStreamItem) -> ThreadCursor | None:
        """Return the place behind an item, None for one that was here before."""
        cursor = self.cursor
        if cursor is None:
            raise InternalError("", f"the stream of {self.subject} did not say where it begins")
        if item.HasField("thread_event"):
            return _behind_thread_event(cursor, item.thread_event)
        if self._may_join and item.run_event.seq == 1:
            cursor = ThreadCursor(thread_seq=cursor.thread_seq, run_id=item.run_event.run_id)
        return _behind_run_event(cursor, item.run_event)


def _behind_run_event(cursor: ThreadCursor, event: RunEvent) -> ThreadCursor | None:
    if event.run_id != cursor.run_id or event.seq > cursor.run_seq + 1:
        raise InternalError("", f"after {cursor.run_id} {cursor.run_seq} came {event.run_id} {event.seq}")
    if event.seq <= cursor.run_seq:
        return None
    return ThreadCursor(thread_seq=cursor.thread_seq, run_id=event.run_id, run_seq=event.seq)


def _behind_thread_event(cursor: ThreadCursor, event: ThreadEvent) -> ThreadCursor | None:
    if event.seq <= cursor.thread_seq:
        return None
    if event.seq > cursor.thread_seq + 1:
        raise InternalError("", f"after event {cursor.thread_seq} of {event.thread_id} came {event.seq}")
    behind = ThreadCursor(thread_seq=event.seq, run_id=cursor.run_id, run_seq=cursor.run_seq)
    if event.HasField("run_started"):
        behind.run_id, behind.run_seq = event.run_started.run_id, 0
    elif event.HasField("run_ended") and event.run_ended.run_id == cursor.run_id:
        if event.run_ended.terminal_event.seq != cursor.run_seq:
            raise InternalError("", f"after {cursor.run_id} {cursor.run_seq} came its end")
        behind.run_id, behind.run_seq = "", 0
    return behind
