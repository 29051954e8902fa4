"""What a caller's token opens at the threads service: the journal, and what tools work on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import grpc
from weft.documents.v1 import document_service_pb2_grpc as documents_grpc
from weft.projects.v1 import project_service_pb2_grpc as projects_grpc
from weft.runs.v1 import run_service_pb2_grpc
from weft.tasks.v1 import task_service_pb2_grpc as tasks_grpc
from weft.tools.v1 import tool_journal_service_pb2 as journal_pb
from weft.tools.v1 import tool_journal_service_pb2_grpc as journal_grpc
from weft_core.caller import Caller, CallerKind
from weft_core.errors import FailedPreconditionError
from weft_grpckit.tokens import TokenSigner, token_metadata

from weft_tools import convert
from weft_tools.domain.execution import Session
from weft_tools.domain.journal import Begun, Call, ExecutionLostError
from weft_tools.domain.outcome import FailureReason, Outcome
from weft_tools.resources import GrpcDocuments, GrpcProjects, GrpcRuns, GrpcTasks, Metadata, weft_errors

JOURNAL_TIMEOUT_SECONDS = 5.0


class Sessions:
    """Opens threads with the rights of whoever asks for a tool call."""

    def __init__(self, channel: grpc.aio.Channel, signer: TokenSigner, patience_seconds: float) -> None:
        self._signer, self._patience_seconds = signer, patience_seconds
        self._journal = journal_grpc.ToolJournalServiceStub(channel)
        self._documents = documents_grpc.DocumentServiceStub(channel)
        self._projects = projects_grpc.ProjectServiceStub(channel)
        self._tasks = tasks_grpc.TaskServiceStub(channel)
        self._runs = run_service_pb2_grpc.RunServiceStub(channel)

    def open(self, caller: Caller, token: str) -> Session:
        metadata = _credential(self._signer, caller, token)
        return Session(
            journal=GrpcJournal(self._journal, metadata),
            documents=GrpcDocuments(self._documents, metadata, self._patience_seconds),
            projects=GrpcProjects(self._projects, metadata, self._patience_seconds),
            tasks=GrpcTasks(self._tasks, metadata, self._patience_seconds),
            runs=GrpcRuns(self._runs, metadata),
        )


def _credential(signer: TokenSigner, caller: Caller, token: str) -> Callable[[], Metadata]:
    """Return what makes the metadata of a call made for `caller`.

    A caller's token lives for a minute and a tool may take longer: it is signed anew. A run's token lives as long as
    the run may run.
    """
    if caller.kind is CallerKind.CALLER:
        return lambda: token_metadata(signer.caller_token(caller.tenant_id, caller.principal, caller.scopes))
    return lambda: token_metadata(token)


@contextmanager
def _lost_executions() -> Iterator[None]:
    try:
        with weft_errors():
            yield
    except FailedPreconditionError as error:
        if error.reason == "TOOL_EXECUTION_LOST":
            raise ExecutionLostError from error
        raise


@dataclass(frozen=True, slots=True)
class GrpcJournal:
    stub: "journal_grpc.ToolJournalServiceAsyncStub"
    metadata: Callable[[], Metadata]

    async def begin(self, call: Call, digest: bytes, *, is_idempotent: bool, lease_seconds: float) -> Begun:
        request = journal_pb.BeginExecutionRequest(
            agent_id="" if call.run_id else call.agent_id,
            project_id="" if call.run_id else call.project_id,
            name=call.name,
            arguments_sha256=digest,
            is_idempotent=is_idempotent,
            lease=convert.duration(lease_seconds),
            **convert.key_to_proto(call.key),
        )
        with weft_errors():
            answer = await self.stub.BeginExecution(request, timeout=JOURNAL_TIMEOUT_SECONDS, metadata=self.metadata())
        return convert.begun_from(answer)

    async def renew(self, execution_id: str, attempt: int, lease_seconds: float) -> None:
        request = journal_pb.RenewExecutionRequest(
            tool_execution_id=execution_id, attempt=attempt, lease=convert.duration(lease_seconds)
        )
        # A renewal that hangs must leave time for another one before the lease has run out.
        timeout = min(max(lease_seconds / 2, 1.0), JOURNAL_TIMEOUT_SECONDS)
        with _lost_executions():
            await self.stub.RenewExecution(request, timeout=timeout, metadata=self.metadata())

    async def finish(self, execution_id: str, attempt: int, outcome: Outcome) -> None:
        request = journal_pb.FinishExecutionRequest(
            tool_execution_id=execution_id, attempt=attempt, result=convert.outcome_to_proto(outcome)
        )
        with _lost_executions():
            await self.stub.FinishExecution(request, timeout=JOURNAL_TIMEOUT_SECONDS, metadata=self.metadata())

    async def record_denied(self, call: Call, digest: bytes, reason: FailureReason) -> None:
        request = journal_pb.RecordDeniedRequest(
            agent_id="" if call.run_id else call.agent_id,
            name=call.name,
            arguments_sha256=digest,
            reason=convert.reason_to_proto(reason),
            **convert.key_to_proto(call.key),
        )
        with weft_errors():
            await self.stub.RecordDenied(request, timeout=JOURNAL_TIMEOUT_SECONDS, metadata=self.metadata())
