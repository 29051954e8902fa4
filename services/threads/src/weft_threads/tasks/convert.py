"""Tasks between the contract and values."""

from collections.abc import Mapping
from typing import Final

from weft.tasks.v1 import task_pb2 as pb
from weft.tasks.v1 import task_service_pb2 as service_pb
from weft_core.ids import format_id, parse_id

from weft_threads.masks import require_filled, wanted_paths
from weft_threads.tasks.task import NewTask, Task
from weft_threads.times import timestamp

STATES: Final[Mapping[str, pb.Task.State.ValueType]] = {
    "open": pb.Task.STATE_OPEN,
    "done": pb.Task.STATE_DONE,
    "dropped": pb.Task.STATE_DROPPED,
}
_STORED: Final[Mapping[pb.Task.State.ValueType, str]] = {state: name for name, state in STATES.items()}
_PATHS: Final = ("title", "description", "state")


def task_to_proto(task: Task) -> pb.Task:
    return pb.Task(
        task_id=format_id("tsk", task.task_id),
        project_id=format_id("prj", task.project_id),
        title=task.title,
        description=task.description,
        state=STATES[task.state],
        run_id="" if task.run_id is None else format_id("run", task.run_id),
        create_time=timestamp(task.create_time),
        update_time=timestamp(task.update_time),
        created_by=task.created_by,
    )


def new_task_from(request: service_pb.CreateTaskRequest) -> NewTask:
    project_id = parse_id("prj", request.project_id, "project_id")
    return NewTask(project_id, request.title, request.description, request.request_id)


def state_from(state: pb.Task.State.ValueType) -> str | None:
    return _STORED.get(state)


def changes_from(request: service_pb.UpdateTaskRequest) -> Mapping[str, str]:
    paths = wanted_paths(request, _PATHS, implied=_PATHS)
    require_filled(request, paths, ["title", "state"])
    values = {"title": request.title, "description": request.description, "state": _STORED.get(request.state, "")}
    return {name: value for name, value in values.items() if name in paths}
