"""Where a run stands: what is written of it, and what is under way. Changed by what the queue has committed, never by
what was merely asked for, so it is right also when the loop is cut off in the middle of a write."""

from weft_agent_runner.domain.answer import Answer
from weft_agent_runner.domain.conversation import Conversation
from weft_agent_runner.domain.entry import AnswerMessage, Entry, EntryResult, ToolMessage
from weft_agent_runner.domain.events import UsageUpdated
from weft_agent_runner.domain.model import ModelMessage, ModelUsage, Role
from weft_agent_runner.domain.outcome import ToolCompleted, ToolOutcome, told_to_model
from weft_agent_runner.domain.run import BegunStep, ClaimedRun, PlacedToolCall


class Book:
    def __init__(self, run: ClaimedRun) -> None:
        self.step = run.begun_step  # the open attempt at a model call
        self.finished_steps = run.finished_steps
        self.answer: Answer | None = None  # what came of the open attempt
        self.calls = run.pending_tool_calls  # without a written result, in order
        self.outcomes: dict[int, ToolOutcome] = {}  # of `calls`, by index: known, not yet written
        self.sent_calls = {place.index for place in run.pending_tool_calls}  # the runner before may have sent them
        self.conversation = Conversation(run.context or ())
        self.usage = run.usage
        self.model_closed_at: float | None = None  # when a stop closed the model's stream
        self.is_over = False
        self.has_succeeded = False  # as it ended, whatever was asked for

    def open_answer(self, step: BegunStep, model: str) -> Answer:
        self.answer = Answer(step.message_id, model)
        return self.answer

    def end_call(self, used: ModelUsage | None, cost_micros: int | None = None) -> UsageUpdated:
        self.usage = self.usage.with_ended_call(used, cost_micros)
        return UsageUpdated(self.usage)

    @property
    def asked_model(self) -> str:
        """The model of the open attempt; empty when it was not asked yet."""
        return self.answer.model if self.answer is not None else ""

    def written_prefix(self) -> tuple[ToolOutcome, ...]:
        """Return the outcomes that can be written now: results are written in the order of their calls."""
        ready: list[ToolOutcome] = []
        for place in self.calls:
            outcome = self.outcomes.get(place.index)
            if outcome is None:
                break
            ready.append(outcome)
        return tuple(ready)

    def apply(self, entry: Entry, result: EntryResult) -> None:
        """Take in an entry that is committed."""
        act = entry.act
        if act is None:
            return
        if act.finish_step is not None:
            self.step = None
            self.answer = None
            self.finished_steps += act.finish_step.is_succeeded
        for message in act.messages:
            if isinstance(message, AnswerMessage):
                self._add_answer(message)
            else:
                self._add_result(message)
        if act.begin_step is not None:
            self.step = result.begun_step
            self.usage = self.usage.with_begun_call()
        self.is_over, self.has_succeeded = act.transition is not None, result.has_succeeded

    def _add_answer(self, message: AnswerMessage) -> None:
        if message.is_incomplete:
            return
        self.conversation.add(ModelMessage(Role.ASSISTANT, message.text, message.tool_calls))
        self.calls = tuple(PlacedToolCall(message.step, index, call) for index, call in enumerate(message.tool_calls))
        self.outcomes.clear()
        self.sent_calls.clear()

    def _add_result(self, message: ToolMessage) -> None:
        place = message.outcome.place
        self.calls = tuple(call for call in self.calls if call.index != place.index)
        result_of = place.call.name if isinstance(message.outcome, ToolCompleted) else ""
        told = told_to_model(message.outcome)
        self.conversation.add(ModelMessage(Role.TOOL, told, tool_call_id=place.call.id, result_of=result_of))
