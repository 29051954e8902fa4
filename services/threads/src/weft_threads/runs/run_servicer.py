"""weft.runs.v1.RunService and AdmissionService."""

import asyncio

from weft.runs.v1 import admission_service_pb2 as admission_pb
from weft.runs.v1 import admission_service_pb2_grpc as admission_grpc
from weft.runs.v1 import run_service_pb2 as pb
from weft.runs.v1 import run_service_pb2_grpc as grpc_pb
from weft_core.ids import parse_id
from weft_grpckit.context import Context, caller_of

from weft_threads.paging import PageRequest
from weft_threads.runs import convert
from weft_threads.runs.admission import Admission, Initiation
from weft_threads.runs.end import Ending
from weft_threads.runs.run_reader import RunReader

DEFAULT_WAIT_SECONDS = 30.0


class AdmissionServicer(admission_grpc.AdmissionServiceServicer):
    def __init__(self, admission: Admission) -> None:
        self._admission = admission

    async def InitiateRun(
        self, request: admission_pb.InitiateRunRequest, context: Context
    ) -> admission_pb.InitiateRunResponse:
        caller = caller_of(context)
        made = await self._admission.initiate(caller, await _asked(request))
        first_event = made.first_event(caller.tenant_id) if request.wants_first_event else None
        return convert.initiated_to_proto(made, first_event)


async def _asked(request: admission_pb.InitiateRunRequest) -> Initiation:
    """Files are digested in a thread: 15 MiB would hold up the loop for 20 ms."""
    if request.attachments:
        return await asyncio.to_thread(convert.initiation_from_proto, request)
    return convert.initiation_from_proto(request)


class RunServicer(grpc_pb.RunServiceServicer):
    def __init__(self, reader: RunReader, ending: Ending) -> None:
        self._reader, self._ending = reader, ending

    async def GetRun(self, request: pb.GetRunRequest, context: Context) -> pb.GetRunResponse:
        row = await self._reader.get(caller_of(context).tenant_id, parse_id("run", request.run_id))
        return pb.GetRunResponse(run=convert.run_to_proto(row))

    async def ListRuns(self, request: pb.ListRunsRequest, context: Context) -> pb.ListRunsResponse:
        states = sorted(convert.state_from_proto(state) for state in request.states)
        filters = {"thread_id": request.thread_id, "agent_id": request.agent_id, "states": states}
        asked = PageRequest(caller_of(context).tenant_id, "ListRuns", filters, request.page_size, request.page_token)
        page = await self._reader.list(
            asked,
            convert.optional_id("thr", request.thread_id),
            convert.optional_id("agt", request.agent_id),
            states,
        )
        runs = [convert.run_to_proto(row) for row in page.items]
        return pb.ListRunsResponse(runs=runs, next_page_token=page.next_page_token)

    async def WaitRun(self, request: pb.WaitRunRequest, context: Context) -> pb.WaitRunResponse:
        seconds = request.timeout.ToTimedelta().total_seconds() if request.HasField("timeout") else DEFAULT_WAIT_SECONDS
        row = await self._reader.wait(caller_of(context).tenant_id, parse_id("run", request.run_id), seconds)
        return pb.WaitRunResponse(run=convert.run_to_proto(row))

    async def CancelRun(self, request: pb.CancelRunRequest, context: Context) -> pb.CancelRunResponse:
        tenant_id = caller_of(context).tenant_id
        if request.WhichOneof("target") == "run_id":
            run_id = parse_id("run", request.run_id)
            await self._ending.cancel(tenant_id, run_id)
        else:
            found = await self._ending.cancel_request(tenant_id, request.request_id)
            if found.run_id is None:
                return pb.CancelRunResponse(is_tombstone=True)
            run_id = found.run_id
        row = await self._reader.wait(tenant_id, run_id, request.wait.ToTimedelta().total_seconds())
        return pb.CancelRunResponse(run=convert.run_to_proto(row))
