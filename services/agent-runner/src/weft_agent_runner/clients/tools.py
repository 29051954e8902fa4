"""Tools, from the tools service."""

import asyncio
from collections.abc import Sequence
from typing import TypeAlias

import grpc
from weft.tools.v1 import tool_service_pb2 as pb
from weft.tools.v1 import tool_service_pb2_grpc as pb_grpc
from weft_grpckit.status import reason_of
from weft_grpckit.tokens import token_metadata

from weft_agent_runner.clients import convert
from weft_agent_runner.clients.peer_errors import peer_errors
from weft_agent_runner.domain.model import ToolSpec
from weft_agent_runner.domain.outcome import ToolFailed, ToolFailureReason, ToolOutcome
from weft_agent_runner.domain.ports import PeerUnavailableError, ToolWatch
from weft_agent_runner.domain.run import ClaimedRun, PlacedToolCall

_CALL_SECONDS = 5.0
_PAGE_SIZE = 1000
_MAX_PAGES = 100
_CLOSE_SECONDS = 0.5

_Call: TypeAlias = "grpc.aio.UnaryStreamCall[pb.ExecuteToolRequest, pb.ExecuteToolResponse]"

# A refusal of the call itself: the model is told, and may do better.
_REFUSALS = {
    "TOOL_NOT_FOUND": ToolFailureReason.UNKNOWN_TOOL,
    "TOOL_NOT_ALLOWED": ToolFailureReason.DENIED,
    "SCOPE_MISSING": ToolFailureReason.DENIED,
    "TOOL_ARGUMENTS_INVALID": ToolFailureReason.ARGUMENTS_INVALID,
    "INVALID_FIELDS": ToolFailureReason.ARGUMENTS_INVALID,
    "REQUEST_ID_REUSED": ToolFailureReason.FAILED,
}


class GrpcTools:
    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = pb_grpc.ToolServiceStub(channel)

    async def list_specs(self, run: ClaimedRun, names: Sequence[str]) -> tuple[ToolSpec, ...]:
        found: dict[str, ToolSpec] = {}
        page_token = ""
        for _ in range(_MAX_PAGES):
            request = pb.ListToolsRequest(page_size=_PAGE_SIZE, page_token=page_token)
            with peer_errors():
                page = await self._stub.ListTools(request, timeout=_CALL_SECONDS, metadata=token_metadata(run.token))
            found.update((tool.name, convert.tool_spec(tool)) for tool in page.tools if tool.name in names)
            page_token = page.next_page_token
            if not page_token:
                break
        return tuple(found[name] for name in names if name in found)

    async def execute(self, run: ClaimedRun, place: PlacedToolCall, state: str, watch: ToolWatch) -> ToolOutcome:
        request = pb.ExecuteToolRequest(
            name=place.call.name,
            arguments_json=place.call.arguments or "{}",
            run_place=pb.RunPlace(step=place.step, index=place.index),
            state=state,
        )
        call = self._stub.ExecuteTool(request, metadata=token_metadata(run.token))
        try:
            with peer_errors():
                try:
                    return await _followed(call, place, watch)
                except grpc.aio.AioRpcError as error:
                    refusal = _REFUSALS.get(reason_of(error))
                    if refusal is None:
                        raise
                    return ToolFailed(place, refusal, error.details() or "refused")
        finally:
            if not call.done():
                call.cancel()  # grpc.aio leaves a stream that is not read to its end open for ever


async def _followed(call: _Call, place: PlacedToolCall, watch: ToolWatch) -> ToolOutcome:
    while isinstance(response := await call.read(), pb.ExecuteToolResponse):
        match response.WhichOneof("event"):
            case "executing":
                watch.begun()
            case "progress":
                progress = response.progress
                watch.progress(progress.message, progress.fraction if progress.HasField("fraction") else None)
            case "completed":
                await _closed(call)
                return convert.completed(place, response.completed)
            case "failed":
                await _closed(call)
                return convert.failed(place, response.failed)
    raise PeerUnavailableError("the stream of a tool call ended before its result")


async def _closed(call: _Call) -> None:
    """Read the end of a stream that has said all: breaking it off costs more, at both ends."""
    try:
        async with asyncio.timeout(_CLOSE_SECONDS):
            await call.read()
    except (TimeoutError, grpc.aio.AioRpcError):
        pass
