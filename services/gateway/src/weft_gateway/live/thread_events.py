"""AgentGateway.ThreadEvents."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, Final

import grpc
from weft.gateway.v1 import agent_gateway_service_pb2 as pb
from weft_grpckit.context import Context, caller_of
from weft_grpckit.interceptors.access import check_scope
from weft_grpckit.interceptors.validation import validate

from weft_gateway.live.handlers import stream_handler
from weft_gateway.live.stream_agent import READ_SCOPE
from weft_gateway.live.thread_stream import ThreadStreams

PATH: Final = "/weft.gateway.v1.AgentGateway/ThreadEvents"


class ThreadEvents:
    """Serves watches of threads."""

    def __init__(self, streams: ThreadStreams) -> None:
        self._streams = streams

    def handler(self) -> grpc.GenericRpcHandler:
        return stream_handler(PATH, self._serve, pb.ThreadEventsRequest.FromString)

    async def _serve(self, request: pb.ThreadEventsRequest, context: Context) -> AsyncIterator[bytes]:
        caller = caller_of(context)
        check_scope(READ_SCOPE, caller.scopes)
        validate(request)
        stream: Any = self._streams.follow(caller, request)
        async with aclosing(stream) as responses:
            async for response in responses:
                yield response
