"""weft.runs.v1.RunQueueService."""

from collections.abc import AsyncIterator, Callable
from uuid import UUID

from weft.runs.v1 import run_queue_service_pb2 as pb
from weft.runs.v1 import run_queue_service_pb2_grpc as grpc_pb
from weft_core.ids import format_id, parse_id
from weft_grpckit.context import Context, caller_of

from weft_threads.model_endpoints.model_endpoints import ModelEndpoints
from weft_threads.runs import queue_convert as convert
from weft_threads.runs.commit import Committer
from weft_threads.runs.context_reader import ContextReader
from weft_threads.runs.convert import duration
from weft_threads.runs.queue import Claimed, RunQueue
from weft_threads.runs.titles import Titles

HEARTBEATS_PER_LEASE = 4


class RunQueueServicer(grpc_pb.RunQueueServiceServicer):
    def __init__(
        self,
        queue: RunQueue,
        committer: Committer,
        contexts: ContextReader,
        titles: Titles,
        endpoints: ModelEndpoints,
        new_id: Callable[[], UUID],
        run_token: Callable[[Claimed], str],
    ) -> None:
        self._queue, self._committer, self._contexts, self._titles = queue, committer, contexts, titles
        self._endpoints, self._new_id, self._run_token = endpoints, new_id, run_token

    async def RegisterRunner(self, request: pb.RegisterRunnerRequest, context: Context) -> pb.RegisterRunnerResponse:
        runner_id = await self._queue.register(request.host)
        return pb.RegisterRunnerResponse(
            runner_id=format_id("rnr", runner_id),
            lease=duration(self._queue.lease),
            heartbeat_interval=duration(self._queue.lease / HEARTBEATS_PER_LEASE),
        )

    async def Heartbeat(self, request: pb.HeartbeatRequest, context: Context) -> pb.HeartbeatResponse:
        owned = await self._queue.heartbeat(parse_id("rnr", request.runner_id))
        return pb.HeartbeatResponse(
            lease=duration(self._queue.lease), owned_runs=[convert.owned_to_proto(each) for each in owned]
        )

    async def ClaimRuns(self, request: pb.ClaimRunsRequest, context: Context) -> pb.ClaimRunsResponse:
        claimed = await self._queue.claim(
            parse_id("rnr", request.runner_id), request.max_runs, request.wait.ToTimedelta()
        )
        return pb.ClaimRunsResponse(runs=[convert.claimed_to_proto(each, self._run_token(each)) for each in claimed])

    async def Commit(self, request: pb.CommitRequest, context: Context) -> pb.CommitResponse:
        entries = convert.entries_from_proto(request, self._new_id)
        return convert.results_to_proto(entries, await self._committer.commit(entries))

    async def Release(self, request: pb.ReleaseRequest, context: Context) -> pb.ReleaseResponse:
        runs = [convert.owned_from_proto(run) for run in request.runs]
        return pb.ReleaseResponse(released=await self._queue.release(parse_id("rnr", request.runner_id), runs))

    async def ReadContext(
        self, request: pb.ReadContextRequest, context: Context
    ) -> AsyncIterator[pb.ReadContextResponse]:
        messages = await self._contexts.read(caller_of(context), parse_id("run", request.run_id), request.epoch)
        for batch in convert.context_batches(messages):
            yield pb.ReadContextResponse(context=batch)

    async def GetModelKey(self, request: pb.GetModelKeyRequest, context: Context) -> pb.GetModelKeyResponse:
        return pb.GetModelKeyResponse(api_key=await self._endpoints.key_of(caller_of(context)))

    async def OfferTitle(self, request: pb.OfferTitleRequest, context: Context) -> pb.OfferTitleResponse:
        offered = convert.offered_title_from(request)
        is_taken = await self._titles.take(caller_of(context), parse_id("run", request.run_id), offered)
        return pb.OfferTitleResponse(is_taken=is_taken)
