"""Contracts to domain."""

import json
from collections.abc import Iterable, Iterator

from google.protobuf import duration_pb2
from weft.agents.v1 import agent_pb2
from weft.runs.v1 import event_pb2, run_pb2
from weft.runs.v1 import run_queue_service_pb2 as queue_pb2
from weft.threads.v1 import message_pb2
from weft.tools.v1 import tool_pb2, tool_service_pb2

from weft_agent_runner.domain.agent import AgentVersion
from weft_agent_runner.domain.attachment import Attachment
from weft_agent_runner.domain.entry import EntryResult
from weft_agent_runner.domain.model import ModelMessage, Role, ToolCall, ToolSpec
from weft_agent_runner.domain.outcome import ToolCompleted, ToolFailed, ToolFailureReason
from weft_agent_runner.domain.run import BegunStep, ClaimedRun, OwnedRun, PlacedToolCall, RunKey, Usage

_ROLES = {
    message_pb2.ROLE_SYSTEM: Role.SYSTEM,
    message_pb2.ROLE_USER: Role.USER,
    message_pb2.ROLE_ASSISTANT: Role.ASSISTANT,
}
# The call may have had its effect.
_UNSURE = {ToolFailureReason.TIMED_OUT, ToolFailureReason.CANCELLED, ToolFailureReason.OUTCOME_UNKNOWN}


def seconds_of(duration: duration_pb2.Duration) -> float:
    return duration.seconds + duration.nanos / 1e9


def owned_run(run: queue_pb2.OwnedRun) -> OwnedRun:
    return OwnedRun(RunKey(run.tenant_id, run.run_id, run.epoch), run.stop_requested)


def claimed_run(run: queue_pb2.ClaimedRun) -> ClaimedRun:
    return ClaimedRun(
        key=RunKey(run.tenant_id, run.run_id, run.epoch),
        thread_id=run.thread_id,
        agent_id=run.agent_id,
        agent_version_id=run.agent_version_id,
        token=run.run_token,
        last_seq=run.last_seq,
        attempt=run.attempt,
        remaining_seconds=max(0.0, seconds_of(run.remaining)),
        finished_steps=run.finished_steps,
        context=None if run.is_context_separate else context(run.context),
        begun_step=begun_step(run.begun_step) if run.HasField("begun_step") else None,
        pending_tool_calls=tuple(
            PlacedToolCall(pending.step, pending.index, _tool_call(pending.call)) for pending in run.pending_tool_calls
        ),
        usage=_usage(run.usage),
        is_stop_requested=run.stop_requested,
        trace_parent=run.trace_parent,
        unread_attachments=tuple(
            Attachment(each.attachment_id, each.name, each.media_type, each.size_bytes)
            for each in run.pending_attachments
        ),
        wants_title=run.wants_title,
    )


def begun_step(step: queue_pb2.BegunStep) -> BegunStep:
    return BegunStep(step.step, step.attempt, step.message_id)


def _usage(usage: run_pb2.Usage) -> Usage:
    return Usage(
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_input_tokens,
        usage.model_calls,
        usage.unmetered_model_calls,
        usage.cost_micros,
        usage.unpriced_model_calls,
    )


def entry_result(result: queue_pb2.CommitResult) -> EntryResult:
    return EntryResult(
        epoch=result.epoch,
        last_seq=result.last_seq,
        is_running=result.state == run_pb2.RUN_STATE_RUNNING,
        is_stop_requested=result.stop_requested,
        has_succeeded=result.state == run_pb2.RUN_STATE_SUCCEEDED,
        begun_step=begun_step(result.begun_step) if result.HasField("begun_step") else None,
        data_error=result.data_error,
    )


def context(messages: Iterable[message_pb2.ContextMessage]) -> tuple[ModelMessage, ...]:
    return tuple(converted for message in messages for converted in _model_messages(message))


def _model_messages(message: message_pb2.ContextMessage) -> Iterator[ModelMessage]:
    """A message of tool results becomes one for each result: so providers want it."""
    if message.role == message_pb2.ROLE_TOOL:
        for part in message.parts:
            result = part.tool_result
            result_of = "" if result.is_error else result.name
            yield ModelMessage(Role.TOOL, result.content, tool_call_id=result.call_id, result_of=result_of)
        return
    text = "\n".join(part.text for part in message.parts if part.WhichOneof("content") == "text")
    calls = tuple(_tool_call(part.tool_call) for part in message.parts if part.WhichOneof("content") == "tool_call")
    yield ModelMessage(_ROLES.get(message.role, Role.USER), text, calls)


def _tool_call(call: message_pb2.ToolCall) -> ToolCall:
    return ToolCall(call.call_id, call.name, call.arguments_json)


def agent_version(spec: agent_pb2.AgentSpec) -> AgentVersion:
    default, limits = AgentVersion(), spec.limits
    timeout = seconds_of(limits.model_call_timeout)
    return AgentVersion(
        system_instructions=spec.system_instructions,
        task_instructions=spec.task_instructions,
        model=spec.model,
        parameters=_parameters(spec.model_parameters),
        tools=tuple(spec.tools),
        max_model_calls=limits.max_model_calls or default.max_model_calls,
        max_tool_calls_per_turn=limits.max_tool_calls_per_turn or default.max_tool_calls_per_turn,
        model_call_timeout_seconds=timeout or default.model_call_timeout_seconds,
        max_tries=limits.max_tries or default.max_tries,
    )


def _parameters(parameters: agent_pb2.ModelParameters) -> dict[str, object]:
    """Return the parameters that are set, by the names of the OpenAI protocol."""
    given: dict[str, object] = {}
    if parameters.HasField("temperature"):
        given["temperature"] = parameters.temperature
    if parameters.HasField("top_p"):
        given["top_p"] = parameters.top_p
    if parameters.HasField("max_output_tokens"):
        given["max_completion_tokens"] = parameters.max_output_tokens
    if parameters.stop:
        given["stop"] = list(parameters.stop)
    return given


def tool_spec(tool: tool_pb2.Tool) -> ToolSpec:
    return ToolSpec(tool.name, tool.description, json.loads(tool.parameters_json), tool.keeps_state)


def completed(place: PlacedToolCall, result: tool_service_pb2.Completed) -> ToolCompleted:
    return ToolCompleted(place, result.content, result.is_truncated, seconds_of(result.duration))


def failed(place: PlacedToolCall, result: tool_service_pb2.Failed) -> ToolFailed:
    name = event_pb2.ToolFailureReason.Name(result.reason).removeprefix("TOOL_FAILURE_REASON_")
    known = name in ToolFailureReason.__members__
    reason = ToolFailureReason(name) if known else ToolFailureReason.FAILED
    return ToolFailed(place, reason, result.message, may_have_happened=reason in _UNSURE)
