"""What a run's events add up to. Pure."""

from dataclasses import dataclass, field
from typing import Any

from weft.gateway.v1.agent_gateway_service_pb2 import InitiateAgentResponse
from weft.runs.v1.event_pb2 import CancelCause, MessageDelta, RunEvent, TimeoutCause
from weft.runs.v1.run_pb2 import FailureReason, Finish, Usage

from weft_client.errors import (
    RunCancelledError,
    RunError,
    RunFailedError,
    RunSupersededError,
    RunTimedOutError,
)
from weft_client.events import Event


@dataclass(frozen=True, slots=True)
class Answer:
    """What an agent said.

    `run_id` is the run that said it: where a stream followed into successors, the last of them. `finish` is how it
    ended: `stop`, `length`, `iteration_limit`, `content_filter`; empty where it did not end with an answer. `usage` is
    that of the run's model calls. `started` has the ids as the start gave them; None where a run was only watched.
    """

    text: str
    run_id: str
    thread_id: str
    message_id: str
    finish: str
    usage: Usage = field(repr=False)
    started: InitiateAgentResponse | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return self.text


class AnswerSoFar:
    """Adds up events, which come in the order of the log, from its beginning."""

    def __init__(self, run_id: str = "") -> None:
        self.started: InitiateAgentResponse | None = None
        self._run_id, self._thread_id = run_id, ""
        self._texts: dict[str, dict[int, list[str]]] = {}  # by message and part, in the order in which they began
        self._usage = Usage()
        self._end: Event | None = None

    def begin(self, started: InitiateAgentResponse) -> None:
        self.started, self._run_id = started, started.run_id

    @property
    def run_id(self) -> str:
        return self._run_id

    def add(self, event: Event) -> None:
        proto = event.proto
        self._run_id = event.run_id
        match proto.WhichOneof("payload"):
            case "message_started":
                self._texts.setdefault(proto.message_started.message_id, {})
            case "message_delta":
                self._add_text(proto.message_delta)
            case "message_discarded":
                self._texts.pop(proto.message_discarded.message_id, None)
            case "usage_updated":
                self._usage = proto.usage_updated.usage
            case "run_queued":
                self._thread_id, self._texts, self._usage = proto.run_queued.thread_id, {}, Usage()
            case _ if event.is_terminal:
                self._end = event
            case _:
                pass

    def _add_text(self, delta: MessageDelta) -> None:
        self._texts.setdefault(delta.message_id, {}).setdefault(delta.part, []).append(delta.text)

    @property
    def text(self) -> str:
        """The text so far of the newest message; what was discarded is not in it."""
        parts = next(reversed(self._texts.values()), {})
        return "".join(piece for part in sorted(parts) for piece in parts[part])

    def so_far(self) -> Answer:
        finish = self._end.proto.run_succeeded.finish if self._end else Finish.FINISH_UNSPECIFIED
        return Answer(
            text=self.text,
            run_id=self._run_id,
            thread_id=self._thread_id or (self.started.thread_id if self.started else ""),
            message_id=next(reversed(self._texts), ""),
            finish=_name(Finish, finish, "FINISH_").lower() if finish else "",
            usage=self._usage,
            started=self.started,
        )

    def result(self) -> Answer:
        """Return the answer of a run that ended. Raises: RunError: it has none."""
        answer = self.so_far()
        if self._end is None:
            raise ValueError("the run has not ended, or its end was not watched")
        error = _error_of(self._end.proto, answer)
        if error is not None:
            raise error
        return answer


def _error_of(end: RunEvent, answer: Answer) -> RunError | None:
    match end.WhichOneof("payload"):
        case "run_failed":
            failure = end.run_failed.failure
            reason = _name(FailureReason, failure.reason, "FAILURE_REASON_")
            return RunFailedError(answer, reason, f"{answer.run_id} failed: {failure.message}")
        case "run_cancelled":
            reason = _name(CancelCause, end.run_cancelled.cause, "CANCEL_CAUSE_")
            return RunCancelledError(answer, reason, f"{answer.run_id} was cancelled")
        case "run_timed_out":
            reason = _name(TimeoutCause, end.run_timed_out.cause, "TIMEOUT_CAUSE_")
            return RunTimedOutError(answer, reason, f"{answer.run_id} took longer than it may")
        case "run_superseded":
            return RunSupersededError(answer, end.run_superseded.successor_run_id)
        case _:
            return None


def _name(enum: Any, value: int, prefix: str) -> str:
    """Return the name of a value without its prefix; the number of one that this SDK is too old for."""
    return str(enum.Name(value)).removeprefix(prefix) if value in enum.values() else str(value)
