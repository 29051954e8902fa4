"""The documents, the projects, the tasks and the runs, at the threads service."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import grpc
from weft.documents.v1 import document_service_pb2 as documents_pb
from weft.documents.v1 import document_service_pb2_grpc as documents_grpc
from weft.projects.v1 import project_service_pb2 as projects_pb
from weft.projects.v1 import project_service_pb2_grpc as projects_grpc
from weft.runs.v1 import run_pb2, run_service_pb2, run_service_pb2_grpc
from weft.tasks.v1 import task_service_pb2 as tasks_pb
from weft.tasks.v1 import task_service_pb2_grpc as tasks_grpc
from weft_core.errors import DeadlineExceededError, InternalError, NotFoundError
from weft_grpckit.error_table import peer_error, service_unavailable

from weft_tools import convert
from weft_tools.domain.patience import patiently
from weft_tools.domain.resources import DocumentPage, Passage, ProjectPage, SearchHit, Task

RUNS_TIMEOUT_SECONDS = 5.0

Metadata = tuple[tuple[str, str], ...]
Answer = TypeVar("Answer")


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

    async def list_page(self, project_id: str, page_size: int, page_token: str) -> DocumentPage:
        request = documents_pb.ListDocumentsRequest(project_id=project_id, page_size=page_size, page_token=page_token)
        answer = await _asked(self.patience_seconds, lambda: self.stub.ListDocuments(request, metadata=self.metadata()))
        return convert.document_page_from(answer)


@dataclass(frozen=True, slots=True)
class GrpcProjects:
    stub: "projects_grpc.ProjectServiceAsyncStub"
    metadata: Callable[[], Metadata]
    patience_seconds: float

    async def list_page(self, page_size: int, page_token: str) -> ProjectPage:
        request = projects_pb.ListProjectsRequest(page_size=page_size, page_token=page_token)
        answer = await _asked(self.patience_seconds, lambda: self.stub.ListProjects(request, metadata=self.metadata()))
        return convert.project_page_from(answer)


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
                answer = await self.stub.GetRun(request, timeout=RUNS_TIMEOUT_SECONDS, metadata=self.metadata())
        except NotFoundError:
            return False
        return answer.run.state == run_pb2.RUN_STATE_RUNNING and not answer.run.HasField("cancel_time")


async def _asked(patience_seconds: float, ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """Await a call that may be repeated, while threads is away."""

    async def once() -> Answer:
        with weft_errors():
            return await ask()

    return await patiently(once, patience_seconds)
