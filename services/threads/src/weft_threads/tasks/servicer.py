"""weft.tasks.v1.TaskService."""

from weft.tasks.v1 import task_service_pb2 as pb
from weft.tasks.v1 import task_service_pb2_grpc as grpc_pb
from weft_core.ids import parse_id
from weft_grpckit.context import Context, caller_of

from weft_threads.paging import Pager, PageRequest, uuid_of
from weft_threads.tasks import convert
from weft_threads.tasks.tasks import Tasks


class TaskServicer(grpc_pb.TaskServiceServicer):
    def __init__(self, tasks: Tasks, pager: Pager) -> None:
        self._tasks, self._pager = tasks, pager

    async def CreateTask(self, request: pb.CreateTaskRequest, context: Context) -> pb.CreateTaskResponse:
        task = await self._tasks.create(caller_of(context), convert.new_task_from(request))
        return pb.CreateTaskResponse(task=convert.task_to_proto(task))

    async def GetTask(self, request: pb.GetTaskRequest, context: Context) -> pb.GetTaskResponse:
        task = await self._tasks.get(caller_of(context), parse_id("tsk", request.task_id, "task_id"))
        return pb.GetTaskResponse(task=convert.task_to_proto(task))

    async def ListTasks(self, request: pb.ListTasksRequest, context: Context) -> pb.ListTasksResponse:
        caller, state = caller_of(context), convert.state_from(request.state)
        project_id = parse_id("prj", request.project_id, "project_id") if request.project_id else None
        filters = {"project_id": request.project_id, "state": state}
        page = await self._pager.page(
            PageRequest(caller.tenant_id, "ListTasks", filters, request.page_size, request.page_token),
            lambda cursor, limit: self._tasks.list(caller, project_id, state, uuid_of(cursor), limit),
            lambda task: task.task_id.bytes,
            lambda task: 500 + 4 * len(task.description),
        )
        tasks = [convert.task_to_proto(task) for task in page.items]
        return pb.ListTasksResponse(tasks=tasks, next_page_token=page.next_page_token)

    async def UpdateTask(self, request: pb.UpdateTaskRequest, context: Context) -> pb.UpdateTaskResponse:
        task_id = parse_id("tsk", request.task_id, "task_id")
        task = await self._tasks.update(caller_of(context), task_id, convert.changes_from(request))
        return pb.UpdateTaskResponse(task=convert.task_to_proto(task))

    async def DeleteTask(self, request: pb.DeleteTaskRequest, context: Context) -> pb.DeleteTaskResponse:
        await self._tasks.delete(caller_of(context), parse_id("tsk", request.task_id, "task_id"))
        return pb.DeleteTaskResponse()
