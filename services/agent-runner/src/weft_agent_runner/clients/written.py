"""Domain to contracts: what a runner writes."""

from collections.abc import Callable
from typing import Any

from google.protobuf import duration_pb2
from weft.runs.v1 import event_pb2, run_pb2
from weft.runs.v1 import run_queue_service_pb2 as queue_pb2
from weft.threads.v1 import message_pb2

from weft_agent_runner.domain import events
from weft_agent_runner.domain.entry import (
    Act,
    AnswerMessage,
    Entry,
    Fail,
    FinishStep,
    Park,
    Stop,
    Succeed,
    TimeOut,
    ToolMessage,
)
from weft_agent_runner.domain.model import ModelUsage
from weft_agent_runner.domain.outcome import ToolCompleted, ToolOutcome, told_to_model
from weft_agent_runner.domain.run import PlacedToolCall, RunKey, Usage


def duration(seconds: float) -> duration_pb2.Duration:
    whole = int(seconds)
    return duration_pb2.Duration(seconds=whole, nanos=int((seconds - whole) * 1e9))


def owned_run(key: RunKey) -> queue_pb2.OwnedRun:
    return queue_pb2.OwnedRun(tenant_id=key.tenant_id, run_id=key.run_id, epoch=key.epoch)


def commit_entry(entry: Entry) -> queue_pb2.CommitEntry:
    written = queue_pb2.CommitEntry(
        tenant_id=entry.key.tenant_id,
        run_id=entry.key.run_id,
        epoch=entry.key.epoch,
        expected_seq=entry.expected_seq,
        events=[run_event(event) for event in entry.events],
    )
    if entry.act is not None:
        _put_act(written, entry.act)
    return written


def _put_act(written: queue_pb2.CommitEntry, act: Act) -> None:
    if act.finish_step is not None:
        written.finish_step.CopyFrom(_finish_step(act.finish_step))
    written.messages.extend(_message(message) for message in act.messages)
    if act.begin_step is not None:
        written.begin_step.step, written.begin_step.attempt = act.begin_step.step, act.begin_step.attempt
    if act.transition is not None:
        written.transition.CopyFrom(_transition(act))


def model_usage(used: ModelUsage) -> run_pb2.Usage:
    return run_pb2.Usage(
        input_tokens=used.input_tokens,
        output_tokens=used.output_tokens,
        cached_input_tokens=used.cached_input_tokens,
    )


def _finish_step(finish: FinishStep) -> queue_pb2.FinishStep:
    usage = None if finish.usage is None else model_usage(finish.usage)
    return queue_pb2.FinishStep(
        step=finish.step,
        attempt=finish.attempt,
        is_succeeded=finish.is_succeeded,
        usage=usage,
        error=finish.error,
        discard_message=finish.is_message_discarded,
        model=finish.model,
        cost_micros=finish.cost_micros,
    )


def _transition(act: Act) -> queue_pb2.Transition:
    closed = act.model_closed_ago_seconds
    written = queue_pb2.Transition(model_closed_ago=None if closed is None else duration(closed))
    match act.transition:
        case Succeed(finish=finish):
            written.succeed.finish = run_pb2.Finish.Value(f"FINISH_{finish}")
        case Fail() as fail:
            written.fail.reason = run_pb2.FailureReason.Value(f"FAILURE_REASON_{fail.reason}")
            written.fail.message, written.fail.provider_status = fail.message, fail.provider_status
        case Stop():
            written.stop.SetInParent()
        case TimeOut():
            written.time_out.SetInParent()
        case Park(wake_after_seconds=seconds):
            written.park.reason = run_pb2.WAITING_REASON_PROVIDER_RATE
            written.park.wake_after.CopyFrom(duration(seconds))
    return written


def _message(message: AnswerMessage | ToolMessage) -> queue_pb2.NewMessage:
    return _answer(message) if isinstance(message, AnswerMessage) else _result(message.outcome)


def _answer(message: AnswerMessage) -> queue_pb2.NewMessage:
    parts = [message_pb2.Part(text=message.text)] if message.text else []
    parts += [
        message_pb2.Part(
            tool_call=message_pb2.ToolCall(call_id=call.id, name=call.name, arguments_json=call.arguments, index=index)
        )
        for index, call in enumerate(message.tool_calls)
    ]
    return queue_pb2.NewMessage(
        message_id=message.message_id,
        step=message.step,
        role=message_pb2.ROLE_ASSISTANT,
        parts=parts,
        is_incomplete=message.is_incomplete,
    )


def _result(outcome: ToolOutcome) -> queue_pb2.NewMessage:
    place, is_failed = outcome.place, not isinstance(outcome, ToolCompleted)
    result = message_pb2.ToolResult(
        call_id=place.call.id,
        name=place.call.name,
        content=told_to_model(outcome),
        is_error=is_failed,
        outcome_unknown=not isinstance(outcome, ToolCompleted) and outcome.may_have_happened,
        index=place.index,
    )
    return queue_pb2.NewMessage(
        step=place.step,
        role=message_pb2.ROLE_TOOL,
        parts=[message_pb2.Part(tool_result=result)],
        tool_event=_tool_event(outcome),
    )


def _tool_event(outcome: ToolOutcome) -> event_pb2.RunEvent:
    place = outcome.place
    if isinstance(outcome, ToolCompleted):
        return event_pb2.RunEvent(
            tool_completed=event_pb2.ToolCompleted(
                step=place.step,
                index=place.index,
                call_id=place.call.id,
                name=place.call.name,
                content=outcome.content,
                is_truncated=outcome.is_truncated,
                duration=duration(outcome.duration_seconds),
            )
        )
    return event_pb2.RunEvent(
        tool_failed=event_pb2.ToolFailed(
            step=place.step,
            index=place.index,
            call_id=place.call.id,
            name=place.call.name,
            reason=event_pb2.ToolFailureReason.Value(f"TOOL_FAILURE_REASON_{outcome.reason}"),
            message=outcome.message,
        )
    )


def run_event(event: events.Event) -> event_pb2.RunEvent:
    return _WRITERS[type(event)](event)


def _started(event: events.MessageStarted) -> event_pb2.RunEvent:
    return event_pb2.RunEvent(message_started=event_pb2.MessageStarted(message_id=event.message_id, model=event.model))


def _delta(event: events.MessageDelta) -> event_pb2.RunEvent:
    return event_pb2.RunEvent(
        message_delta=event_pb2.MessageDelta(message_id=event.message_id, offset=event.offset, text=event.text)
    )


def _executing(event: events.ToolExecuting) -> event_pb2.RunEvent:
    place: PlacedToolCall = event.call
    return event_pb2.RunEvent(
        tool_executing=event_pb2.ToolExecuting(
            step=place.step,
            index=place.index,
            call_id=place.call.id,
            name=place.call.name,
            arguments_json=place.call.arguments,
        )
    )


def _progress(event: events.ToolProgress) -> event_pb2.RunEvent:
    return event_pb2.RunEvent(
        tool_progress=event_pb2.ToolProgress(
            step=event.call.step, index=event.call.index, message=event.message, fraction=event.fraction
        )
    )


def _usage_updated(event: events.UsageUpdated) -> event_pb2.RunEvent:
    return event_pb2.RunEvent(usage_updated=event_pb2.UsageUpdated(usage=_usage(event.usage)))


def _usage(usage: Usage) -> run_pb2.Usage:
    return run_pb2.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cached_input_tokens=usage.cached_input_tokens,
        model_calls=usage.model_calls,
        unmetered_model_calls=usage.unmetered_model_calls,
        cost_micros=usage.cost_micros,
        unpriced_model_calls=usage.unpriced_model_calls,
    )


_WRITERS: dict[type[Any], Callable[[Any], event_pb2.RunEvent]] = {
    events.MessageStarted: _started,
    events.MessageDelta: _delta,
    events.ToolExecuting: _executing,
    events.ToolProgress: _progress,
    events.UsageUpdated: _usage_updated,
}
