"""A run in the hands of this process, as the claim gave it."""

from dataclasses import dataclass, replace

from weft_agent_runner.domain.attachment import Attachment
from weft_agent_runner.domain.model import ModelMessage, ModelUsage, ToolCall


@dataclass(frozen=True, slots=True)
class RunKey:
    """One take-up of a run: every write names it, and a later take-up has a higher epoch."""

    tenant_id: str
    run_id: str
    epoch: int


@dataclass(frozen=True, slots=True)
class OwnedRun:
    """A run that the queue says this runner owns."""

    key: RunKey
    is_stop_requested: bool = False


@dataclass(frozen=True, slots=True)
class BegunStep:
    """An attempt at a model call that is journaled as begun; `message_id` is for what comes of it."""

    step: int
    attempt: int
    message_id: str


@dataclass(frozen=True, slots=True)
class PlacedToolCall:
    """A tool call and its place: call `index` of model call `step`. The place is its key, never the model's id."""

    step: int
    index: int
    call: ToolCall


@dataclass(frozen=True, slots=True)
class Usage:
    """Sums over the model calls of a run, the begun ones counted in `model_calls`."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    model_calls: int = 0
    unmetered_model_calls: int = 0
    cost_micros: int = 0
    unpriced_model_calls: int = 0

    def with_begun_call(self) -> "Usage":
        return replace(self, model_calls=self.model_calls + 1)

    def with_ended_call(self, used: ModelUsage | None, cost_micros: int | None = None) -> "Usage":
        if used is None:
            return replace(self, unmetered_model_calls=self.unmetered_model_calls + 1)
        return replace(
            self,
            input_tokens=self.input_tokens + used.input_tokens,
            output_tokens=self.output_tokens + used.output_tokens,
            cached_input_tokens=self.cached_input_tokens + used.cached_input_tokens,
            cost_micros=self.cost_micros + (cost_micros or 0),
            unpriced_model_calls=self.unpriced_model_calls + (cost_micros is None),
        )


@dataclass(frozen=True, slots=True)
class ClaimedRun:
    """`context` is None when it must be read apart. `trace_parent` is of the call that made the run."""

    key: RunKey
    thread_id: str
    agent_id: str
    agent_version_id: str
    token: str
    last_seq: int
    attempt: int
    remaining_seconds: float
    finished_steps: int
    context: tuple[ModelMessage, ...] | None
    begun_step: BegunStep | None = None
    pending_tool_calls: tuple[PlacedToolCall, ...] = ()
    usage: Usage = Usage()
    is_stop_requested: bool = False
    trace_parent: str = ""
    unread_attachments: tuple[Attachment, ...] = ()
    wants_title: bool = False
