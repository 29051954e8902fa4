"""Recipes of projects, documents and tasks."""

from google.protobuf.message import Message
from weft.documents.v1 import document_service_pb2 as documents
from weft.projects.v1 import project_service_pb2 as projects
from weft.tasks.v1 import task_pb2
from weft.tasks.v1 import task_service_pb2 as tasks

from every_rpc.recipe import Asked, new_key, plain, recipe
from every_rpc.world import Estate


@plain(projects.CreateProjectRequest)
def _(estate: Estate) -> Message:
    return projects.CreateProjectRequest(display_name="new")


@plain(projects.GetProjectRequest)
def _(estate: Estate) -> Message:
    return projects.GetProjectRequest(project_id=estate.project_id)


@plain(projects.ListProjectsRequest)
def _(estate: Estate) -> Message:
    return projects.ListProjectsRequest(page_size=1)


@plain(projects.UpdateProjectRequest)
def _(estate: Estate) -> Message:
    return projects.UpdateProjectRequest(project_id=estate.project_id, display_name="renamed")


@recipe(projects.DeleteProjectRequest)
async def delete_project(estate: Estate) -> Asked:
    return Asked(projects.DeleteProjectRequest(project_id=await estate.make_project()))


@plain(documents.PutDocumentRequest)
def _(estate: Estate) -> Message:
    return documents.PutDocumentRequest(project_id=estate.project_id, title="put", text="words")


@plain(documents.GetDocumentRequest)
def _(estate: Estate) -> Message:
    return documents.GetDocumentRequest(document_id=estate.document_id)


@plain(documents.ReadDocumentRequest)
def _(estate: Estate) -> Message:
    return documents.ReadDocumentRequest(document_id=estate.document_id)


@plain(documents.ListDocumentsRequest)
def _(estate: Estate) -> Message:
    return documents.ListDocumentsRequest(project_id=estate.project_id, page_size=1)


@plain(documents.SearchDocumentsRequest)
def _(estate: Estate) -> Message:
    return documents.SearchDocumentsRequest(project_id=estate.project_id, query="words")


@recipe(documents.DeleteDocumentRequest)
async def delete_document(estate: Estate) -> Asked:
    return Asked(documents.DeleteDocumentRequest(document_id=await estate.make_document()))


@plain(tasks.CreateTaskRequest)
def _(estate: Estate) -> Message:
    return tasks.CreateTaskRequest(project_id=estate.project_id, title="new", request_id=new_key())


@plain(tasks.GetTaskRequest)
def _(estate: Estate) -> Message:
    return tasks.GetTaskRequest(task_id=estate.task_id)


@plain(tasks.ListTasksRequest)
def _(estate: Estate) -> Message:
    return tasks.ListTasksRequest(project_id=estate.project_id, page_size=1)


@plain(tasks.UpdateTaskRequest)
def _(estate: Estate) -> Message:
    return tasks.UpdateTaskRequest(task_id=estate.task_id, state=task_pb2.Task.STATE_OPEN)


@recipe(tasks.DeleteTaskRequest)
async def delete_task(estate: Estate) -> Asked:
    return Asked(tasks.DeleteTaskRequest(task_id=await estate.make_task()))
