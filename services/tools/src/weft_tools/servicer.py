"""ToolService."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field

from weft.tools.v1 import tool_service_pb2 as pb
from weft.tools.v1 import tool_service_pb2_grpc
from weft_core.page_tokens import PageTokens, digest_of, page_size_of
from weft_grpckit.context import Context, caller_of, current_token

from weft_tools import convert
from weft_tools.clients import Sessions
from weft_tools.domain.executor import Executor
from weft_tools.domain.registry import Registry
from weft_tools.telemetry import ToolUse

LIST_TOOLS = "weft.tools.v1.ToolService/ListTools"


@dataclass(frozen=True)
class ToolServicer(tool_service_pb2_grpc.ToolServiceServicer):
    registry: Registry
    executor: Executor
    sessions: Sessions
    page_tokens: PageTokens
    uses: ToolUse = field(default_factory=ToolUse)

    async def GetTool(self, request: pb.GetToolRequest, context: Context) -> pb.GetToolResponse:
        return pb.GetToolResponse(tool=convert.tool_to_proto(self.registry.get(request.name).tool))

    async def ListTools(self, request: pb.ListToolsRequest, context: Context) -> pb.ListToolsResponse:
        place = caller_of(context).tenant_id, LIST_TOOLS, digest_of({})
        after = self.page_tokens.decode(*place, request.page_token) or b""
        size = page_size_of(request.page_size)
        found = self.registry.list_after(after.decode(), size + 1)
        shown = [convert.tool_to_proto(tool) for tool in found[:size]]
        next_token = self.page_tokens.encode(*place, shown[-1].name.encode()) if len(found) > size else ""
        return pb.ListToolsResponse(tools=shown, next_page_token=next_token)

    async def ExecuteTool(
        self, request: pb.ExecuteToolRequest, context: Context
    ) -> AsyncIterator[pb.ExecuteToolResponse]:
        caller = caller_of(context)
        session, seen = self.sessions.open(caller, current_token()), self.uses.begin(caller, request.name)
        async with aclosing(self.executor.execute(convert.call_from(request, caller), session)) as events:
            async for event in events:
                seen(event)
                yield convert.event_to_proto(event)
