"""The journal of tool calls between the contract and values."""

from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from weft.runs.v1 import event_pb2 as event_pb
from weft.tools.v1 import tool_journal_service_pb2 as pb
from weft.tools.v1 import tool_service_pb2 as service_pb
from weft_core.ids import format_id, parse_id

from weft_threads.times import timestamp
from weft_threads.tools.execution import Asked, Begun, Call, Execution, Outcome, RunPlace, Setting, State

_REASON = "TOOL_FAILURE_REASON_"


def call_from(request: pb.BeginExecutionRequest | pb.RecordDeniedRequest) -> Call:
    place = request.run_place
    return Call(
        agent_id=parse_id("agt", request.agent_id, "agent_id") if request.agent_id else None,
        tool=request.name,
        arguments_sha256=request.arguments_sha256,
        key=RunPlace(place.step, place.index) if request.WhichOneof("key") == "run_place" else request.request_id,
    )


def asked_from(request: pb.BeginExecutionRequest) -> Asked:
    return Asked(
        call=call_from(request),
        project_id=parse_id("prj", request.project_id, "project_id") if request.project_id else None,
        is_idempotent=request.is_idempotent,
        lease=request.lease.ToTimedelta(),
    )


def begun_to_proto(begun: Begun) -> pb.BeginExecutionResponse:
    execution = begun.execution
    response = pb.BeginExecutionResponse(
        tool_execution_id=format_id("tlx", execution.tool_execution_id), attempt=execution.attempt
    )
    if begun.setting is not None:
        response.claimed.CopyFrom(_claimed(begun.setting))
    elif execution.state is State.STARTED:
        response.in_progress.CopyFrom(pb.InProgress(lease_expire_time=timestamp(execution.lease_time)))
    else:
        response.finished.CopyFrom(_result(execution))
    return response


def outcome_from(result: pb.ExecutionResult) -> Outcome:
    if result.WhichOneof("outcome") == "completed":
        return Outcome(State.SUCCEEDED, result.completed.content, result.completed.is_truncated)
    reason = reason_from(result.failed.reason)
    state = State.UNKNOWN if reason == "outcome_unknown" else State.FAILED
    return Outcome(state, result.failed.message, reason=reason)


def reason_from(reason: event_pb.ToolFailureReason.ValueType) -> str:
    return event_pb.ToolFailureReason.Name(reason).removeprefix(_REASON).lower()


def _claimed(setting: Setting) -> pb.Claimed:
    return pb.Claimed(
        project_id=format_id("prj", setting.project_id),
        thread_id="" if setting.thread_id is None else format_id("thr", setting.thread_id),
        agent_id=format_id("agt", setting.agent_id),
        run_id="" if setting.run_id is None else format_id("run", setting.run_id),
    )


def _result(execution: Execution) -> pb.ExecutionResult:
    outcome, duration = execution.outcome(), _duration(execution.duration)
    if outcome.state is State.SUCCEEDED:
        completed = service_pb.Completed(content=outcome.content, is_truncated=outcome.is_truncated, duration=duration)
        return pb.ExecutionResult(completed=completed)
    reason = event_pb.ToolFailureReason.Value(f"{_REASON}{outcome.reason.upper()}")
    return pb.ExecutionResult(failed=service_pb.Failed(reason=reason, message=outcome.content, duration=duration))


def _duration(value: timedelta | None) -> Duration | None:
    if value is None:
        return None
    duration = Duration()
    duration.FromTimedelta(value)
    return duration
