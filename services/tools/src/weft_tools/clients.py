"""The journal, the documents, the tasks and the runs, at the threads service."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import grpc
from weft.documents.v1 import document_service_pb2 as documents_pb
from weft.documents.v1 import document_service_pb2_grpc as documents_grpc
from weft.runs.v1 import run_pb2, run_service_pb2, run_service_pb2_grpc
from weft.tasks.v1 import task_service_pb2 as tasks_pb
from weft.tasks.v1 import task_service_pb2_grpc as tasks_grpc
from weft.tools.v1 import tool_journal_service_pb2 as journal_pb
from weft.tools.v1 import tool_journal_service_pb2_grpc as journal_grpc
from weft_core.caller import Caller, CallerKind
from weft_core.errors import DeadlineExceededError, FailedPreconditionError, InternalError, NotFoundError
from weft_grpckit.error_table import peer_error, service_unavailable
from weft_grpckit.tokens import TokenSigner, token_metadata

from weft_tools import convert
from weft_tools.domain.execution import Session
from weft_tools.domain.journal import Begun, Call, ExecutionLostError
from weft_tools.domain.outcome import FailureReason, Outcome
from weft_tools.domain.patience import patiently
from weft_tools.domain.resources import Passage, SearchHit, Task

JOURNAL_TIMEOUT_SECONDS = 5.0

Metadata = tuple[tuple[str, str], ...]
Answer = TypeVar("Answer")


class Sessions:
    """Opens threads with the rights of whoever asks for a tool call."""

    def __init__(self, channel: grpc.aio.Channel, signer: TokenSigner, patience_seconds: float) -> None:
        self._signer, self._patience_seconds = signer, patience_seconds
        self._journal = journal_grpc.ToolJournalServiceStub(channel)
        self._documents = documents_grpc.DocumentServiceStub(channel)
        self._tasks = tasks_grpc.TaskServiceStub(channel)
        self._runs = run_service_pb2_grpc.RunServiceStub(channel)

    def open(self, caller: Caller, token: str) -> Session:
        metadata = _credential(self._signer, caller, token)
        return Session(
            journal=GrpcJournal(self._journal, metadata),
            documents=GrpcDocuments(self._documents, metadata, self._patience_seconds),
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
def weft_errors() -> Iterator[None]:
    """Raise what threads answered as it raised it; an answer that did not come in time as unavailable."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        told = peer_error(error)
        if told is None:
            raise InternalError("INTERNAL", f"threads failed with {error.code().name}") from error
        if isinstance(told, DeadlineExceededError):
            raise service_unavailable() from error
        raise told from error


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


@dataclass(frozen=True, slots=True)
class GrpcDocuments:
    stub: "documents_grpc.DocumentServiceAsyncStub"
    metadata: Callable[[], Metadata]
    patience_seconds: float

    async def search(self, project_id: str, query: str, max_hits: int) -> Sequence[SearchHit]:
        request = documents_pb.SearchDocumentsRequest(project_id=project_id, query=query, max_hits=max_hits)
        answer = await _asked(
            self.patience_seconds, lambda: self.stub.SearchDocuments(request, metadata=self.metadata())
        )
        return [convert.hit_from(hit) for hit in answer.hits]

    async def read(self, document_id: str, offset: int, length: int) -> Passage:
        request = documents_pb.ReadDocumentRequest(document_id=document_id, offset=offset, length=length)
        answer = await _asked(self.patience_seconds, lambda: self.stub.ReadDocument(request, metadata=self.metadata()))
        return convert.passage_from(answer, offset)

    async def find_by_title(self, project_id: str, title: str) -> str | None:
        request = documents_pb.ListDocumentsRequest(project_id=project_id, title=title, page_size=1)
        answer = await _asked(self.patience_seconds, lambda: self.stub.ListDocuments(request, metadata=self.metadata()))
        return answer.documents[0].document_id if answer.documents else None


@dataclass(frozen=True, slots=True)
class GrpcTasks:
    stub: "tasks_grpc.TaskServiceAsyncStub"
    metadata: Callable[[], Metadata]
    patience_seconds: float

    async def create(self, project_id: str, title: str, description: str, key: str) -> Task:
        request = tasks_pb.CreateTaskRequest(
            project_id=project_id, title=title, description=description, request_id=key
        )
        answer = await _asked(self.patience_seconds, lambda: self.stub.CreateTask(request, metadata=self.metadata()))
        return convert.task_from(answer.task)


@dataclass(frozen=True, slots=True)
class GrpcRuns:
    stub: "run_service_pb2_grpc.RunServiceAsyncStub"
    metadata: Callable[[], Metadata]

    async def is_wanted(self, run_id: str) -> bool:
        request = run_service_pb2.GetRunRequest(run_id=run_id)
        try:
            with weft_errors():
                answer = await self.stub.GetRun(request, timeout=JOURNAL_TIMEOUT_SECONDS, metadata=self.metadata())
        except NotFoundError:
            return False
        return answer.run.state == run_pb2.RUN_STATE_RUNNING and not answer.run.HasField("cancel_time")


async def _asked(patience_seconds: float, ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """Await a call that may be repeated, while threads is away."""

    async def once() -> Answer:
        with weft_errors():
            return await ask()

    return await patiently(once, patience_seconds)
