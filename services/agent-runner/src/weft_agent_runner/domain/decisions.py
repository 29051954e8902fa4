"""What comes next in a run. Pure: from where the run stands to what is written."""

from weft_core.text import cut_to_bytes, storable

from weft_agent_runner.domain.agent import Equipment
from weft_agent_runner.domain.book import Book
from weft_agent_runner.domain.entry import (
    Act,
    AnswerMessage,
    BeginStep,
    Finish,
    FinishStep,
    Succeed,
    ToolMessage,
    Transition,
)
from weft_agent_runner.domain.model import FinishReason, ModelCompletion, ToolCall
from weft_agent_runner.domain.outcome import stopped_call
from weft_agent_runner.domain.run import BegunStep

# Results in one entry: of 64 KiB each, in a message and in its event.
MAX_RESULTS = 16
MAX_CALL_ID, MAX_TOOL_NAME, MAX_ARGUMENTS_BYTES = 200, 64, 1024 * 1024

_FINISHES = {FinishReason.LENGTH: Finish.LENGTH, FinishReason.CONTENT_FILTER: Finish.CONTENT_FILTER}


def after_completion(equipment: Equipment, step: BegunStep, text: str, completion: ModelCompletion) -> Act:
    """Write the model's message: the answer that ends the run, or the tool calls that come first. `text` is what
    watchers were shown of it."""
    is_last = equipment.is_last_call(step.step)
    calls = () if is_last else tuple(storable_call(call) for call in completion.tool_calls)
    message = AnswerMessage(step.message_id, step.step, text, calls)
    finish = FinishStep(
        step.step,
        step.attempt,
        is_succeeded=True,
        usage=completion.usage,
        model=equipment.model,
        cost_micros=equipment.cost_micros(completion.usage),
    )
    return Act(
        finish_step=finish,
        messages=(message,),
        transition=None if calls else Succeed(_finish(equipment, is_last, completion.finish_reason)),
    )


def _finish(equipment: Equipment, is_last: bool, reason: FinishReason) -> Finish:
    if reason in _FINISHES:
        return _FINISHES[reason]
    return Finish.ITERATION_LIMIT if is_last and equipment.tools else Finish.STOP


def storable_call(call: ToolCall) -> ToolCall:
    """Return a call that keeps the bounds of a stored message."""
    return ToolCall(
        id=storable(call.id)[:MAX_CALL_ID] or "call",
        name=storable(call.name)[:MAX_TOOL_NAME] or "unnamed",
        arguments=cut_to_bytes(storable(call.arguments), MAX_ARGUMENTS_BYTES),
    )


def begin_next(book: Book) -> Act:
    return Act(begin_step=BeginStep(book.finished_steps + 1, 1))


def retry(step: BegunStep) -> Act:
    return Act(begin_step=BeginStep(step.step, step.attempt + 1))


def cut_attempt(book: Book, step: BegunStep, error: str, transition: Transition | None = None) -> Act:
    """End an attempt of which nothing is kept: it is made again, now or after a pause."""
    is_shown = book.answer is not None and book.answer.is_shown
    return Act(
        finish_step=FinishStep(
            step.step,
            step.attempt,
            is_succeeded=False,
            error=error[:500],
            is_message_discarded=is_shown,
            model=book.asked_model,
        ),
        transition=transition,
    )


def after_tool_results(book: Book) -> Act | None:
    """Write the results that can be written now, not too many at once; the last ones come with the begin of the next
    model call."""
    ready = book.written_prefix()[:MAX_RESULTS]
    if not ready:
        return None
    is_complete = len(ready) == len(book.calls)
    return Act(
        messages=tuple(ToolMessage(outcome) for outcome in ready),
        begin_step=BeginStep(book.finished_steps + 1, 1) if is_complete else None,
    )


def before_closing(book: Book) -> Act | None:
    """Write results of a run that is to be closed, if there are too many for the entry that ends it."""
    for place in book.calls:
        book.outcomes.setdefault(place.index, stopped_call(place, was_begun=place.index in book.sent_calls))
    if len(book.calls) <= MAX_RESULTS:
        return None
    return Act(messages=tuple(ToolMessage(outcome) for outcome in book.written_prefix()[:MAX_RESULTS]))


def closing(book: Book, transition: Transition, error: str, now: float) -> Act:
    """End a run in the middle of whatever it does: what the model said by then is kept, marked; each tool call gets a
    result, so that a later model call is told about it. Only when `before_closing` has nothing to write."""
    finish, messages = None, list[AnswerMessage | ToolMessage]()
    if book.step is not None:
        finish = FinishStep(
            book.step.step, book.step.attempt, is_succeeded=False, error=error[:500], model=book.asked_model
        )
        if book.answer is not None and book.answer.is_shown:
            messages.append(AnswerMessage(book.step.message_id, book.step.step, book.answer.text, is_incomplete=True))
    messages.extend(ToolMessage(book.outcomes[place.index]) for place in book.calls)
    closed_ago = None if book.model_closed_at is None else max(0.0, now - book.model_closed_at)
    return Act(finish, tuple(messages), None, transition, closed_ago)
