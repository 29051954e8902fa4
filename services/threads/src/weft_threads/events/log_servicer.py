"""weft.runs.v1.RunLogService."""

from weft.runs.v1 import run_log_service_pb2 as pb
from weft.runs.v1 import run_log_service_pb2_grpc as grpc_pb
from weft_core.ids import format_id, parse_id
from weft_grpckit.context import Context, caller_of

from weft_threads.events.log import RunLog
from weft_threads.events.thread_log import ThreadLog


class RunLogServicer(grpc_pb.RunLogServiceServicer):
    def __init__(self, log: RunLog, threads: ThreadLog) -> None:
        self._log, self._threads = log, threads

    async def ReadEvents(self, request: pb.ReadEventsRequest, context: Context) -> pb.ReadEventsResponse:
        page = await self._log.read(
            caller_of(context).tenant_id, parse_id("run", request.run_id), request.after_seq, request.serve_deleted
        )
        return pb.ReadEventsResponse(events=page.events, last_seq=page.last_seq, is_ended=page.is_ended)

    async def ReadThreadEvents(
        self, request: pb.ReadThreadEventsRequest, context: Context
    ) -> pb.ReadThreadEventsResponse:
        page = await self._threads.read(
            caller_of(context).tenant_id,
            parse_id("thr", request.thread_id),
            None if request.from_now else request.after_seq,
            with_open_run=request.with_open_run,
            serve_deleted=request.serve_deleted,
        )
        return pb.ReadThreadEventsResponse(
            events=page.events,
            last_seq=page.last_seq,
            is_deleted=page.is_deleted,
            open_run_id=format_id("run", page.open_run) if page.open_run else "",
        )

    async def GetHeads(self, request: pb.GetHeadsRequest, context: Context) -> pb.GetHeadsResponse:
        keys = [(parse_id("ten", key.tenant_id), parse_id("run", key.run_id)) for key in request.runs]
        heads = await self._log.heads(keys)
        threads = [(parse_id("ten", key.tenant_id), parse_id("thr", key.thread_id)) for key in request.threads]
        thread_heads = await self._threads.heads(threads)
        return pb.GetHeadsResponse(
            heads=[pb.RunHead(run_id=format_id("run", run_id), last_seq=last_seq) for run_id, last_seq in heads],
            thread_heads=[
                pb.ThreadHead(thread_id=format_id("thr", thread_id), last_seq=last_seq)
                for thread_id, last_seq in thread_heads
            ],
        )
