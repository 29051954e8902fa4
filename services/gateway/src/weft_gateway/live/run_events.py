"""AgentGateway.RunEvents."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, Final

import grpc
from weft.gateway.v1 import agent_gateway_service_pb2 as pb
from weft_grpckit.context import Context, caller_of
from weft_grpckit.interceptors.validation import validate

from weft_gateway.live.handlers import stream_handler
from weft_gateway.live.run_stream import RunStreams

PATH: Final = "/weft.gateway.v1.AgentGateway/RunEvents"


class RunEvents:
    """Serves watches."""

    def __init__(self, streams: RunStreams) -> None:
        self._streams = streams

    def handler(self) -> grpc.GenericRpcHandler:
        return stream_handler(PATH, self._serve, pb.RunEventsRequest.FromString)

    async def _serve(self, request: pb.RunEventsRequest, context: Context) -> AsyncIterator[bytes]:
        validate(request)
        stream: Any = self._streams.follow(
            caller_of(context), request.run_id, request.after_seq, follow_successor=request.follow_successor
        )
        async with aclosing(stream) as responses:
            async for response in responses:
                yield response
