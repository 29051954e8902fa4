"""Documents, tasks and runs in memory, as far as tools ask for them."""

from dataclasses import dataclass
from typing import Any, NoReturn

from google.protobuf.timestamp_pb2 import Timestamp
from weft.documents.v1 import document_pb2, document_service_pb2_grpc
from weft.documents.v1 import document_service_pb2 as documents_pb
from weft.projects.v1 import project_pb2, project_service_pb2_grpc
from weft.projects.v1 import project_service_pb2 as projects_pb
from weft.runs.v1 import run_pb2, run_service_pb2, run_service_pb2_grpc
from weft.tasks.v1 import task_pb2, task_service_pb2_grpc
from weft.tasks.v1 import task_service_pb2 as tasks_pb
from weft_core.errors import InvalidArgumentError, UnimplementedError
from weft_core.ids import format_id
from weft_grpckit.context import Context, caller_of

from weft_testkit.fake_threads.world import FakeDocument, FakeTask, FakeTenant, FakeWorld, found, new_id

SNIPPET_CHARACTERS = 80


async def _unused(self: object, request: Any, context: Any) -> NoReturn:
    raise UnimplementedError("METHOD_UNKNOWN", "the fake has no such method")


@dataclass
class FakeDocuments(document_service_pb2_grpc.DocumentServiceServicer):
    """A search counts the query's words. `lists_asked` counts the pages that were listed."""

    world: FakeWorld
    lists_asked: int = 0

    PutDocument = GetDocument = DeleteDocument = _unused

    async def SearchDocuments(
        self, request: documents_pb.SearchDocumentsRequest, context: Context
    ) -> documents_pb.SearchDocumentsResponse:
        tenant = self.world.of(caller_of(context))
        hits = [_hit(document, request.query) for document in _documents_in(tenant, request.project_id)]
        ranked = sorted((hit for hit in hits if hit.score > 0), key=lambda hit: -hit.score)
        return documents_pb.SearchDocumentsResponse(hits=ranked[: request.max_hits or 10])

    async def ReadDocument(
        self, request: documents_pb.ReadDocumentRequest, context: Context
    ) -> documents_pb.ReadDocumentResponse:
        document = found(self.world.of(caller_of(context)).documents, request.document_id, "document")
        end = request.offset + request.length if request.length else len(document.text)
        return documents_pb.ReadDocumentResponse(
            document=_document(document),
            text=document.text[request.offset : end],
            next_offset=end if end < len(document.text) else 0,
            total_length=len(document.text),
        )

    async def ListDocuments(
        self, request: documents_pb.ListDocumentsRequest, context: Context
    ) -> documents_pb.ListDocumentsResponse:
        """Pages of one: whoever lists has to page. A token is a number."""
        self.lists_asked += 1
        tenant = self.world.of(caller_of(context))
        found(tenant.projects, request.project_id, "project")
        in_project = _documents_in(tenant, request.project_id)
        documents = [each for each in in_project if request.title in ("", each.title)]
        start = int(request.page_token or 0)
        return documents_pb.ListDocumentsResponse(
            documents=[_document(each) for each in documents[start : start + 1]],
            next_page_token=str(start + 1) if start + 1 < len(documents) else "",
        )


@dataclass
class FakeProjects(project_service_pb2_grpc.ProjectServiceServicer):
    world: FakeWorld

    CreateProject = GetProject = UpdateProject = DeleteProject = _unused

    async def ListProjects(
        self, request: projects_pb.ListProjectsRequest, context: Context
    ) -> projects_pb.ListProjectsResponse:
        """A token is a number."""
        named = list(self.world.of(caller_of(context)).projects.items())
        start = int(request.page_token or 0)
        end = start + (request.page_size or 50)
        return projects_pb.ListProjectsResponse(
            projects=[project_pb2.Project(project_id=each, display_name=name) for each, name in named[start:end]],
            next_page_token=str(end) if end < len(named) else "",
        )


@dataclass
class FakeTasks(task_service_pb2_grpc.TaskServiceServicer):
    world: FakeWorld

    GetTask = ListTasks = UpdateTask = DeleteTask = _unused

    async def CreateTask(self, request: tasks_pb.CreateTaskRequest, context: Context) -> tasks_pb.CreateTaskResponse:
        caller = caller_of(context)
        tenant = self.world.of(caller)
        found(tenant.projects, request.project_id, "project")
        for known in tenant.tasks:
            if request.request_id and known.request_id == request.request_id:
                if (known.title, known.description) != (request.title, request.description):
                    raise InvalidArgumentError("REQUEST_ID_REUSED", "the key was used for another task")
                return tasks_pb.CreateTaskResponse(task=_task(known))
        made = FakeTask(
            new_id("tsk"),
            request.project_id,
            request.title,
            request.description,
            request.request_id,
            "" if caller.run_id is None else format_id("run", caller.run_id),
        )
        tenant.tasks.append(made)
        return tasks_pb.CreateTaskResponse(task=_task(made))


@dataclass
class FakeRuns(run_service_pb2_grpc.RunServiceServicer):
    world: FakeWorld

    ListRuns = WaitRun = CancelRun = _unused

    async def GetRun(self, request: run_service_pb2.GetRunRequest, context: Context) -> run_service_pb2.GetRunResponse:
        run = found(self.world.of(caller_of(context)).runs, request.run_id, "run")
        return run_service_pb2.GetRunResponse(
            run=run_pb2.Run(
                run_id=run.run_id,
                state=run_pb2.RUN_STATE_RUNNING if run.is_running else run_pb2.RUN_STATE_SUCCEEDED,
                cancel_time=Timestamp(seconds=1) if run.is_stop_requested else None,
            )
        )


def _documents_in(tenant: FakeTenant, project_id: str) -> list[FakeDocument]:
    return [document for document in tenant.documents.values() if document.project_id == project_id]


def _hit(document: FakeDocument, query: str) -> document_pb2.SearchHit:
    words = query.lower().split()
    first = min((at for word in words if (at := document.text.lower().find(word)) >= 0), default=0)
    score = sum(document.text.lower().count(word) for word in words)
    snippet = document.text[first : first + SNIPPET_CHARACTERS]
    return document_pb2.SearchHit(
        document=_document(document), offset=first, length=len(snippet), snippet=snippet, score=score
    )


def _document(document: FakeDocument) -> document_pb2.Document:
    return document_pb2.Document(document_id=document.document_id, project_id=document.project_id, title=document.title)


def _task(task: FakeTask) -> task_pb2.Task:
    return task_pb2.Task(
        task_id=task.task_id,
        project_id=task.project_id,
        title=task.title,
        description=task.description,
        run_id=task.run_id,
        state=task_pb2.Task.STATE_OPEN,
    )
