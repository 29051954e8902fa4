"""What is written of a run in one go: an entry of a Commit, and what the queue answers."""

from dataclasses import dataclass
from enum import StrEnum

from weft_core.text import byte_length

from weft_agent_runner.domain.events import Event, event_size
from weft_agent_runner.domain.model import ModelUsage, ToolCall
from weft_agent_runner.domain.outcome import ToolOutcome, told_to_model
from weft_agent_runner.domain.run import BegunStep, RunKey


class Finish(StrEnum):
    """The names are those of weft.runs.v1.Finish."""

    STOP = "STOP"
    LENGTH = "LENGTH"
    ITERATION_LIMIT = "ITERATION_LIMIT"
    CONTENT_FILTER = "CONTENT_FILTER"


class FailureReason(StrEnum):
    """The names are those of weft.runs.v1.FailureReason."""

    MODEL_UNAVAILABLE = "MODEL_UNAVAILABLE"
    MODEL_REFUSED = "MODEL_REFUSED"
    MODEL_RATE_LIMITED = "MODEL_RATE_LIMITED"
    MODEL_ANSWER_INVALID = "MODEL_ANSWER_INVALID"
    CONTEXT_TOO_LARGE = "CONTEXT_TOO_LARGE"
    INTERNAL = "INTERNAL"


@dataclass(frozen=True, slots=True)
class FinishStep:
    step: int
    attempt: int
    is_succeeded: bool
    usage: ModelUsage | None = None
    error: str = ""
    is_message_discarded: bool = False
    model: str = ""
    cost_micros: int | None = None


@dataclass(frozen=True, slots=True)
class AnswerMessage:
    """What a model said. `is_incomplete`: it was stopped."""

    message_id: str
    step: int
    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    is_incomplete: bool = False


@dataclass(frozen=True, slots=True)
class ToolMessage:
    """What a tool call came to: a message for the model, and its event."""

    outcome: ToolOutcome


def _message_size(message: AnswerMessage | ToolMessage) -> int:
    if isinstance(message, AnswerMessage):
        arguments = sum(byte_length(call.arguments) for call in message.tool_calls)
        return 128 + byte_length(message.text) + arguments
    return 256 + 2 * byte_length(told_to_model(message.outcome))  # once in the message, once in its event


@dataclass(frozen=True, slots=True)
class BeginStep:
    step: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Succeed:
    finish: Finish


@dataclass(frozen=True, slots=True)
class Fail:
    reason: FailureReason
    message: str
    provider_status: int = 0


@dataclass(frozen=True, slots=True)
class Stop:
    pass


@dataclass(frozen=True, slots=True)
class TimeOut:
    pass


@dataclass(frozen=True, slots=True)
class Park:
    """The provider wants a long pause: the run waits without a runner."""

    wake_after_seconds: float


Transition = Succeed | Fail | Stop | TimeOut | Park


@dataclass(frozen=True, slots=True)
class Act:
    """What an entry does beside its events. Written in the order of the fields, as a whole or not at all."""

    finish_step: FinishStep | None = None
    messages: tuple[AnswerMessage | ToolMessage, ...] = ()
    begin_step: BeginStep | None = None
    transition: Transition | None = None
    model_closed_ago_seconds: float | None = None

    @property
    def event_count(self) -> int:
        """How many events the queue writes for it."""
        is_discarding = self.finish_step is not None and self.finish_step.is_message_discarded
        return is_discarding + len(self.messages) + (self.begin_step is not None) + (self.transition is not None)

    @property
    def size(self) -> int:
        return sum(_message_size(message) for message in self.messages)


@dataclass(frozen=True, slots=True)
class Entry:
    key: RunKey
    expected_seq: int
    events: tuple[Event, ...] = ()
    act: Act | None = None

    @property
    def reached_seq(self) -> int:
        """The run's newest seq once this is written."""
        return self.expected_seq + len(self.events) + (self.act.event_count if self.act else 0)

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        return 128 + sum(event_size(event) for event in self.events) + (self.act.size if self.act else 0)


@dataclass(frozen=True, slots=True)
class EntryResult:
    epoch: int
    last_seq: int
    is_running: bool = True
    is_stop_requested: bool = False
    has_succeeded: bool = False
    begun_step: BegunStep | None = None
    data_error: str = ""


class Verdict(StrEnum):
    """What an answer means for the entry."""

    DONE = "done"
    LOST = "lost"  # another holds the run, or it has ended: write nothing more
    REFUSED = "refused"  # it can never be written
    REPEAT = "repeat"  # it was not written, and nothing is wrong with it


def judge(entry: Entry, result: EntryResult) -> Verdict:
    if result.data_error:  # where the run stands is not told then
        return Verdict.REFUSED
    if result.epoch != entry.key.epoch:
        return Verdict.LOST
    if result.last_seq >= entry.reached_seq:
        return Verdict.DONE
    if not result.is_running or result.last_seq != entry.expected_seq:
        return Verdict.LOST
    return Verdict.REPEAT


class EntryError(Exception):
    """An entry can never be written."""


class RunLostError(Exception):
    """The run is not ours any more: drop it, write nothing."""
