"""The tool journal in memory."""

import asyncio
from dataclasses import dataclass, field
from uuid import UUID

from weft.runs.v1 import event_pb2
from weft.tools.v1 import tool_journal_service_pb2 as pb
from weft.tools.v1 import tool_journal_service_pb2_grpc as rpc
from weft.tools.v1 import tool_service_pb2
from weft_core.caller import Caller
from weft_core.errors import (
    FailedPreconditionError,
    FieldViolation,
    InvalidArgumentError,
    InvalidFieldsError,
    PermissionDeniedError,
    UnavailableError,
)
from weft_core.ids import format_id
from weft_grpckit.context import Context, caller_of

from weft_testkit.fake_threads.world import FakeWorld, found, new_id

AnyRequest = pb.BeginExecutionRequest | pb.RecordDeniedRequest


@dataclass(slots=True)
class FakeExecution:
    execution_id: str
    tenant_id: UUID
    key: str
    tool: str
    arguments_sha256: bytes
    is_idempotent: bool
    lease_end: float
    attempt: int = 1
    result: pb.ExecutionResult | None = None
    renewals: int = 0


@dataclass(frozen=True, slots=True)
class FakeDenial:
    key: str
    tool: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Setting:
    project_id: str
    agent_id: str
    tools: frozenset[str]
    thread_id: str = ""
    run_id: str = ""


@dataclass
class FakeToolJournal(rpc.ToolJournalServiceServicer):
    """`executions` and `denials` are what tests look at; while `is_away`, every call fails as with PostgreSQL gone."""

    world: FakeWorld
    executions: dict[str, FakeExecution] = field(default_factory=dict)
    denials: list[FakeDenial] = field(default_factory=list)
    is_away: bool = False

    async def BeginExecution(self, request: pb.BeginExecutionRequest, context: Context) -> pb.BeginExecutionResponse:
        self._refuse_when_away()
        caller = caller_of(context)
        key, setting = _key_of(request, caller), self._setting_of(request, caller, request.project_id)
        if request.name not in setting.tools:
            self.denials.append(FakeDenial(key, request.name, "DENIED"))
            told = f"the agent does not have the tool {request.name!r}; add it to the agent"
            raise PermissionDeniedError("TOOL_NOT_ALLOWED", told, metadata={"tool": request.name})
        execution = self._find(caller.tenant_id, key)
        if execution is None:
            execution = _started(request, caller.tenant_id, key)
            self.executions[execution.execution_id] = execution
            return _claimed(execution, setting)
        return _taken_up(execution, request, setting)

    async def RenewExecution(self, request: pb.RenewExecutionRequest, context: Context) -> pb.RenewExecutionResponse:
        self._refuse_when_away()
        execution = self._held(request.tool_execution_id, request.attempt, caller_of(context))
        if execution.result is not None:
            raise _lost(request.tool_execution_id)
        execution.lease_end = _now() + request.lease.ToNanoseconds() / 1e9
        execution.renewals += 1
        return pb.RenewExecutionResponse()

    async def FinishExecution(self, request: pb.FinishExecutionRequest, context: Context) -> pb.FinishExecutionResponse:
        self._refuse_when_away()
        execution = self._held(request.tool_execution_id, request.attempt, caller_of(context))
        if execution.result is None:
            execution.result = request.result
        elif _is_unknown(execution.result) and not _is_unknown(request.result):
            raise _lost(request.tool_execution_id)
        return pb.FinishExecutionResponse()

    async def RecordDenied(self, request: pb.RecordDeniedRequest, context: Context) -> pb.RecordDeniedResponse:
        self._refuse_when_away()
        caller = caller_of(context)
        self._setting_of(request, caller, "")
        reason = event_pb2.ToolFailureReason.Name(request.reason).removeprefix("TOOL_FAILURE_REASON_")
        self.denials.append(FakeDenial(_key_of(request, caller), request.name, reason))
        return pb.RecordDeniedResponse()

    def _find(self, tenant_id: UUID, key: str) -> FakeExecution | None:
        each = (known for known in self.executions.values() if (known.tenant_id, known.key) == (tenant_id, key))
        return next(each, None)

    def _held(self, execution_id: str, attempt: int, caller: Caller) -> FakeExecution:
        execution = self.executions.get(execution_id)
        if execution is None or execution.tenant_id != caller.tenant_id or execution.attempt != attempt:
            raise _lost(execution_id)
        return execution

    def _setting_of(self, request: AnyRequest, caller: Caller, project_id: str) -> _Setting:
        tenant = self.world.of(caller)
        if caller.run_id is not None:
            run = found(tenant.runs, format_id("run", caller.run_id), "run")
            if not run.is_running or run.epoch != caller.epoch:
                raise FailedPreconditionError("EPOCH_STALE", "the run is not running under this epoch any more; stop")
            return _Setting(run.project_id, run.agent_id, tenant.agents[run.agent_id], run.thread_id, run.run_id)
        if not request.agent_id:
            raise InvalidFieldsError([FieldViolation("agent_id", "must name an agent")])
        tools = found(tenant.agents, request.agent_id, "agent")
        project_id = project_id or tenant.default_project_id
        found(tenant.projects, project_id, "project")
        return _Setting(project_id, request.agent_id, tools)

    def _refuse_when_away(self) -> None:
        if self.is_away:
            raise UnavailableError("DATABASE_UNAVAILABLE", "the database cannot be reached", retry_after_seconds=0.1)


def _started(request: pb.BeginExecutionRequest, tenant_id: UUID, key: str) -> FakeExecution:
    return FakeExecution(
        execution_id=new_id("tlx"),
        tenant_id=tenant_id,
        key=key,
        tool=request.name,
        arguments_sha256=request.arguments_sha256,
        is_idempotent=request.is_idempotent,
        lease_end=_now() + request.lease.ToNanoseconds() / 1e9,
    )


def _taken_up(
    execution: FakeExecution, request: pb.BeginExecutionRequest, setting: _Setting
) -> pb.BeginExecutionResponse:
    if (execution.tool, execution.arguments_sha256) != (request.name, request.arguments_sha256):
        raise InvalidArgumentError("REQUEST_ID_REUSED", "this key was used for another tool or other arguments")
    if execution.result is None and execution.lease_end <= _now():
        if execution.is_idempotent:
            execution.attempt += 1
            execution.lease_end = _now() + request.lease.ToNanoseconds() / 1e9
            return _claimed(execution, setting)
        execution.result = _unknown_result()
    answer = pb.BeginExecutionResponse(tool_execution_id=execution.execution_id, attempt=execution.attempt)
    if execution.result is None:
        answer.in_progress.SetInParent()
    else:
        answer.finished.CopyFrom(execution.result)
    return answer


def _claimed(execution: FakeExecution, setting: _Setting) -> pb.BeginExecutionResponse:
    claimed = pb.Claimed(
        project_id=setting.project_id,
        thread_id=setting.thread_id,
        agent_id=setting.agent_id,
        run_id=setting.run_id,
    )
    return pb.BeginExecutionResponse(
        tool_execution_id=execution.execution_id, attempt=execution.attempt, claimed=claimed
    )


def _key_of(request: AnyRequest, caller: Caller) -> str:
    is_place = request.WhichOneof("key") == "run_place"
    if is_place != (caller.run_id is not None):
        field_name = "run_place" if is_place else "request_id"
        raise InvalidFieldsError([FieldViolation(field_name, "does not fit this token")])
    if caller.run_id is None:
        return f"request/{request.request_id}"
    return f"run/{format_id('run', caller.run_id)}/{request.run_place.step}/{request.run_place.index}"


def _unknown_result() -> pb.ExecutionResult:
    reason = event_pb2.TOOL_FAILURE_REASON_OUTCOME_UNKNOWN
    return pb.ExecutionResult(failed=tool_service_pb2.Failed(reason=reason, message="nobody knows how it ended"))


def _is_unknown(result: pb.ExecutionResult) -> bool:
    return result.failed.reason == event_pb2.TOOL_FAILURE_REASON_OUTCOME_UNKNOWN


def _lost(execution_id: str) -> FailedPreconditionError:
    return FailedPreconditionError("TOOL_EXECUTION_LOST", f"{execution_id} is not this attempt's any more")


def _now() -> float:
    return asyncio.get_running_loop().time()
