"""weft.tools.v1.ToolJournalService."""

from weft.tools.v1 import tool_journal_service_pb2 as pb
from weft.tools.v1 import tool_journal_service_pb2_grpc as grpc_pb
from weft_core.ids import parse_id
from weft_grpckit.context import Context, caller_of

from weft_threads.tools import convert
from weft_threads.tools.journal import ToolJournal


class ToolJournalServicer(grpc_pb.ToolJournalServiceServicer):
    def __init__(self, journal: ToolJournal) -> None:
        self._journal = journal

    async def BeginExecution(self, request: pb.BeginExecutionRequest, context: Context) -> pb.BeginExecutionResponse:
        begun = await self._journal.begin(caller_of(context), convert.asked_from(request))
        return convert.begun_to_proto(begun)

    async def RenewExecution(self, request: pb.RenewExecutionRequest, context: Context) -> pb.RenewExecutionResponse:
        execution_id = parse_id("tlx", request.tool_execution_id, "tool_execution_id")
        await self._journal.renew(caller_of(context), execution_id, request.attempt, request.lease.ToTimedelta())
        return pb.RenewExecutionResponse()

    async def FinishExecution(self, request: pb.FinishExecutionRequest, context: Context) -> pb.FinishExecutionResponse:
        execution_id = parse_id("tlx", request.tool_execution_id, "tool_execution_id")
        outcome = convert.outcome_from(request.result)
        await self._journal.finish(caller_of(context), execution_id, request.attempt, outcome)
        return pb.FinishExecutionResponse()

    async def RecordDenied(self, request: pb.RecordDeniedRequest, context: Context) -> pb.RecordDeniedResponse:
        reason = convert.reason_from(request.reason)
        await self._journal.record_denied(caller_of(context), convert.call_from(request), reason)
        return pb.RecordDeniedResponse()
