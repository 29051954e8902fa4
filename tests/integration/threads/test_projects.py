"""ProjectService on the real service."""

import asyncio

import grpc
from google.protobuf.field_mask_pb2 import FieldMask
from threads_world import Client, ThreadsWorld, refused, unknown_id
from weft.documents.v1 import document_service_pb2
from weft.projects.v1 import project_pb2
from weft.projects.v1 import project_service_pb2 as pb
from weft.runs.v1 import admission_service_pb2, run_pb2, run_service_pb2
from weft.tasks.v1 import task_service_pb2
from weft.threads.v1 import thread_service_pb2
from weft_grpckit.status import reason_of


async def a_project(client: Client, name: str = "Project") -> project_pb2.Project:
    return (await client.projects.CreateProject(pb.CreateProjectRequest(display_name=name))).project


async def test_project_can_be_made_read_renamed_and_listed(world: ThreadsWorld) -> None:
    tenant, client = await world.tenant()
    project = await a_project(client)
    change = pb.UpdateProjectRequest(project_id=project.project_id, display_name="Other")
    renamed = (await client.projects.UpdateProject(change)).project
    read = (await client.projects.GetProject(pb.GetProjectRequest(project_id=project.project_id))).project
    listed = (await client.projects.ListProjects(pb.ListProjectsRequest())).projects
    assert (renamed.display_name, read, renamed.created_by) == ("Other", renamed, "key_test")
    assert renamed.update_time.ToNanoseconds() > renamed.create_time.ToNanoseconds()
    assert [each.project_id for each in listed] == [project.project_id, tenant.default_project_id]


async def test_name_cannot_be_emptied(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    project = await a_project(client)
    change = pb.UpdateProjectRequest(project_id=project.project_id, update_mask=FieldMask(paths=["display_name"]))
    with refused("INVALID_FIELDS") as refusal:
        await client.projects.UpdateProject(change)
    assert refusal.fields == {"display_name"}


async def test_delete_takes_all_that_lies_in_the_project(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    project_id = (await a_project(client)).project_id
    thread_request = thread_service_pb2.CreateThreadRequest(project_id=project_id)
    thread = (await client.threads.CreateThread(thread_request)).thread
    put = document_service_pb2.PutDocumentRequest(project_id=project_id, title="t", text="text")
    document = (await client.documents.PutDocument(put)).document
    task = (await client.tasks.CreateTask(task_service_pb2.CreateTaskRequest(project_id=project_id, title="t"))).task

    await client.projects.DeleteProject(pb.DeleteProjectRequest(project_id=project_id))

    with refused("PROJECT_NOT_FOUND"):
        await client.projects.GetProject(pb.GetProjectRequest(project_id=project_id))
    with refused("PROJECT_NOT_FOUND"):
        await client.projects.DeleteProject(pb.DeleteProjectRequest(project_id=project_id))
    with refused("THREAD_NOT_FOUND"):
        await client.threads.GetThread(thread_service_pb2.GetThreadRequest(thread_id=thread.thread_id))
    with refused("DOCUMENT_NOT_FOUND"):
        await client.documents.GetDocument(document_service_pb2.GetDocumentRequest(document_id=document.document_id))
    with refused("TASK_NOT_FOUND"):
        await client.tasks.GetTask(task_service_pb2.GetTaskRequest(task_id=task.task_id))
    with refused("PROJECT_NOT_FOUND"):
        await client.threads.CreateThread(thread_request)


async def test_delete_is_refused_while_runs_have_not_ended_unless_forced(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    project_id = (await a_project(client)).project_id
    initiate = admission_service_pb2.InitiateRunRequest(text="hello", project_id=project_id)
    made = await client.admission.InitiateRun(initiate)
    with refused("PROJECT_IN_USE"):
        await client.projects.DeleteProject(pb.DeleteProjectRequest(project_id=project_id))
    run = (await client.runs.GetRun(run_service_pb2.GetRunRequest(run_id=made.run_id))).run
    assert run.state == run_pb2.RUN_STATE_QUEUED

    await client.projects.DeleteProject(pb.DeleteProjectRequest(project_id=project_id, force=True))

    with refused("THREAD_NOT_FOUND"):
        await client.threads.GetThread(thread_service_pb2.GetThreadRequest(thread_id=made.thread_id))
    with refused("RUN_NOT_FOUND"):
        await client.runs.GetRun(run_service_pb2.GetRunRequest(run_id=made.run_id))


async def test_delete_of_the_default_project_is_refused_even_when_forced(world: ThreadsWorld) -> None:
    tenant, client = await world.tenant()
    with refused("PROJECT_IN_USE") as refusal:
        await client.projects.DeleteProject(pb.DeleteProjectRequest(project_id=tenant.default_project_id, force=True))
    assert refusal.metadata["default_project"] == "true"


async def test_update_of_an_unknown_project_is_not_found(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    with refused("PROJECT_NOT_FOUND"):
        await client.projects.UpdateProject(pb.UpdateProjectRequest(project_id=unknown_id("prj"), display_name="x"))


async def test_nothing_is_left_in_a_project_that_was_deleted_while_it_was_filled(world: ThreadsWorld) -> None:
    _, client = await world.tenant()

    async def fill(project_id: str) -> None:
        initiate = admission_service_pb2.InitiateRunRequest(text="hello", project_id=project_id)
        create = thread_service_pb2.CreateThreadRequest(project_id=project_id)
        answers = await asyncio.gather(
            client.admission.InitiateRun(initiate), client.threads.CreateThread(create), return_exceptions=True
        )
        for error in (answer for answer in answers if isinstance(answer, BaseException)):
            assert isinstance(error, grpc.aio.AioRpcError)
            assert reason_of(error) == "PROJECT_NOT_FOUND"

    for _ in range(15):
        project_id = (await a_project(client)).project_id
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(fill(project_id))
            await client.projects.DeleteProject(pb.DeleteProjectRequest(project_id=project_id, force=True))
    assert (await client.threads.ListThreads(thread_service_pb2.ListThreadsRequest())).threads == []
