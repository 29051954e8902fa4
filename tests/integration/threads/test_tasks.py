"""TaskService on the real service."""

import asyncio

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from threads_world import ThreadsWorld, all_refused, refused, unknown_id
from weft.tasks.v1 import task_pb2
from weft.tasks.v1 import task_service_pb2 as pb


async def test_task_is_made_open_and_can_be_changed(world: ThreadsWorld) -> None:
    tenant, client = await world.tenant()
    request = pb.CreateTaskRequest(project_id=tenant.default_project_id, title="Wind the warp", description="40 ends")
    task = (await client.tasks.CreateTask(request)).task
    assert (task.title, task.description, task.state, task.run_id) == (
        "Wind the warp",
        "40 ends",
        task_pb2.Task.STATE_OPEN,
        "",
    )

    change = pb.UpdateTaskRequest(
        task_id=task.task_id, state=task_pb2.Task.STATE_DONE, update_mask=FieldMask(paths=["state", "description"])
    )
    done = (await client.tasks.UpdateTask(change)).task

    assert (done.state, done.description, done.title) == (task_pb2.Task.STATE_DONE, "", "Wind the warp")
    assert (await client.tasks.GetTask(pb.GetTaskRequest(task_id=task.task_id))).task == done


async def test_list_filters_by_project_and_state(world: ThreadsWorld) -> None:
    tenant, client = await world.tenant()
    made = []
    for n in range(4):
        request = pb.CreateTaskRequest(project_id=tenant.default_project_id, title=f"task {n}")
        made.append((await client.tasks.CreateTask(request)).task)
    await client.tasks.UpdateTask(pb.UpdateTaskRequest(task_id=made[1].task_id, state=task_pb2.Task.STATE_DROPPED))

    everything = (await client.tasks.ListTasks(pb.ListTasksRequest())).tasks
    dropped = (await client.tasks.ListTasks(pb.ListTasksRequest(state=task_pb2.Task.STATE_DROPPED))).tasks
    open_request = pb.ListTasksRequest(
        project_id=tenant.default_project_id, state=task_pb2.Task.STATE_OPEN, page_size=2
    )
    first = await client.tasks.ListTasks(open_request)

    assert [task.task_id for task in everything] == [task.task_id for task in reversed(made)]
    assert [task.task_id for task in dropped] == [made[1].task_id]
    assert [task.task_id for task in first.tasks] == [made[3].task_id, made[2].task_id]
    with refused("PAGE_TOKEN_INVALID"):  # of another filter
        await client.tasks.ListTasks(pb.ListTasksRequest(page_token=first.next_page_token))
    with refused("PROJECT_NOT_FOUND"):
        await client.tasks.ListTasks(pb.ListTasksRequest(project_id=unknown_id("prj")))


async def test_same_request_id_makes_one_task_however_many_ask_at_once(world: ThreadsWorld) -> None:
    tenant, client = await world.tenant()
    request = pb.CreateTaskRequest(project_id=tenant.default_project_id, title="Once", request_id="key")
    answers = await asyncio.gather(*(client.tasks.CreateTask(request) for _ in range(30)))
    assert len({answer.task.task_id for answer in answers}) == 1
    assert len((await client.tasks.ListTasks(pb.ListTasksRequest())).tasks) == 1


async def test_same_request_id_with_another_body_is_refused(world: ThreadsWorld) -> None:
    tenant, client = await world.tenant()
    request = pb.CreateTaskRequest(project_id=tenant.default_project_id, title="One", request_id="key")
    made = (await client.tasks.CreateTask(request)).task
    await client.tasks.UpdateTask(pb.UpdateTaskRequest(task_id=made.task_id, title="changed since"))
    assert (await client.tasks.CreateTask(request)).task.task_id == made.task_id
    request.title = "Another"
    with refused("REQUEST_ID_REUSED"):
        await client.tasks.CreateTask(request)


async def test_request_ids_of_two_tenants_do_not_meet(world: ThreadsWorld) -> None:
    made = set()
    for _ in range(2):
        tenant, client = await world.tenant()
        request = pb.CreateTaskRequest(project_id=tenant.default_project_id, title="One", request_id="key")
        made.add((await client.tasks.CreateTask(request)).task.task_id)
    assert len(made) == 2


async def test_deleted_task_is_gone(world: ThreadsWorld) -> None:
    tenant, client = await world.tenant()
    request = pb.CreateTaskRequest(project_id=tenant.default_project_id, title="One")
    task_id = (await client.tasks.CreateTask(request)).task.task_id
    await client.tasks.DeleteTask(pb.DeleteTaskRequest(task_id=task_id))
    await all_refused(
        "TASK_NOT_FOUND",
        (client.tasks.GetTask, pb.GetTaskRequest(task_id=task_id)),
        (client.tasks.DeleteTask, pb.DeleteTaskRequest(task_id=task_id)),
        (client.tasks.UpdateTask, pb.UpdateTaskRequest(task_id=task_id, title="x")),
    )


@pytest.mark.parametrize(("title", "state", "field"), [("", 2, "title"), ("x" * 501, 2, "title"), ("x", 9, "state")])
async def test_update_names_the_field_that_breaks_its_rule(
    world: ThreadsWorld, title: str, state: task_pb2.Task.State.ValueType, field: str
) -> None:
    _, client = await world.tenant()
    change = pb.UpdateTaskRequest(
        task_id=unknown_id("tsk"), title=title, state=state, update_mask=FieldMask(paths=["title", "state"])
    )
    with refused("INVALID_FIELDS") as refusal:
        await client.tasks.UpdateTask(change)
    assert refusal.fields == {field}


async def test_create_in_an_unknown_project_is_refused(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    with refused("PROJECT_NOT_FOUND"):
        await client.tasks.CreateTask(pb.CreateTaskRequest(project_id=unknown_id("prj"), title="x"))
