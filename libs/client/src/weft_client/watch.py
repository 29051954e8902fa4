"""A place in a run's log. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from weft.gateway.v1.agent_gateway_service_pb2 import (
    InitiateAgentRequest,
    InitiateAgentResponse,
    RunEventsRequest,
    RunEventsResponse,
    StreamAgentRequest,
    StreamAgentResponse,
)

from weft_client.errors import InternalError
from weft_client.events import Event
from weft_client.patience import Outage
from weft_client.resume import Resumable


@dataclass(frozen=True, slots=True)
class WatchPlan:
    """What a stream is to show: a run that is there, or the one that `initiate` starts."""

    run_id: str = ""
    initiate: InitiateAgentRequest | None = None
    after_seq: int = 0
    follow: bool = False
    timeout: float | None = None

    def until(self, now: float) -> float | None:
        return None if self.timeout is None else now + self.timeout

    def start_seconds(self, default: float) -> float:
        return default if self.timeout is None else min(default, self.timeout)

    def start_request(self) -> StreamAgentRequest:
        return StreamAgentRequest(initiate=self.initiate, follow_successor=self.follow)


class Watch(Resumable[Event]):
    """Takes what streams bring and gives each event once, in order, whatever is cut, repeated or left out between.

    `follow` goes on with the run that took this one over.
    """

    def __init__(
        self, run_id: str, after_seq: int, outage: Outage, *, follow: bool = False, until: float | None = None
    ) -> None:
        super().__init__(run_id, outage, until)
        self.last_seq, self._follow = after_seq, follow
        # Behind a terminal event the server has nothing to send: only then may a stream end without bringing one.
        self._may_be_over = after_seq > 0
        self._has_moved = False

    @property
    def run_id(self) -> str:
        return self.subject

    def request(self) -> RunEventsRequest:
        self._has_moved = False
        return RunEventsRequest(run_id=self.run_id, after_seq=self.last_seq, follow_successor=self._follow)

    def admit(self, response: RunEventsResponse | StreamAgentResponse) -> Iterator[Event]:
        if not response.events:
            self._outage.heard()
        for event in map(Event, response.events):
            if self._is_new(event):
                self._outage.heard()
                self._move(event)
                yield event

    def ended(self, now: float) -> float:
        if self._may_be_over:
            self.is_ended = True
        if self.is_ended or self._has_moved:
            return 0.0
        return self.broken(InternalError("", f"the stream of {self.run_id} ended before the run"), now)

    def _is_new(self, event: Event) -> bool:
        if self.is_ended or (event.run_id == self.run_id and event.seq <= self.last_seq):
            return False
        if event.run_id != self.run_id or event.seq != self.last_seq + 1:
            raise InternalError("", f"after {self.run_id} {self.last_seq} came {event.run_id} {event.seq}")
        return True

    def _move(self, event: Event) -> None:
        self._may_be_over = False
        if event.type == "run.superseded" and self._follow:
            self.subject, self.last_seq, self._has_moved = event.payload.successor_run_id, 0, True
        else:
            self.last_seq, self.is_ended = event.seq, event.is_terminal


def started_by(first: StreamAgentResponse | None) -> InitiateAgentResponse:
    """Return what the first response of a start says. Raises: InternalError, which is transient: there is none."""
    if first is None or not first.HasField("initiated"):
        raise InternalError("", "the stream ended before it began")
    return first.initiated
