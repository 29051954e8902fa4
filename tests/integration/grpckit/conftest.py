"""A loopback server with one service whose methods do what a test tells them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from weft.runs.v1 import run_log_service_pb2 as pb
from weft.runs.v1 import run_log_service_pb2_grpc as rpc
from weft.runs.v1 import run_queue_service_pb2_grpc as queue_rpc
from weft_grpckit.channels import ServiceChannel, open_channel
from weft_grpckit.server import WeftServer, inner_guards
from weft_grpckit.tokens import TokenSigner, TokenVerifier

KEY = b"k" * 32
TENANT = UUID(int=7)
A_RUN = "run_01h455vb4pex5vsknk084sn02q"
Behaviour = Callable[[Any, Any], Awaitable[Any]]


class ToldServicer(rpc.RunLogServiceServicer):
    """Answers as `read` says."""

    def __init__(self) -> None:
        self.read: Behaviour = self._empty

    async def _empty(self, request: Any, context: Any) -> pb.ReadEventsResponse:
        return pb.ReadEventsResponse()

    async def ReadEvents(self, request: pb.ReadEventsRequest, context: Any) -> pb.ReadEventsResponse:
        response: pb.ReadEventsResponse = await self.read(request, context)
        return response

    async def ReadThreadEvents(self, request: pb.ReadThreadEventsRequest, context: Any) -> pb.ReadThreadEventsResponse:
        return pb.ReadThreadEventsResponse()

    async def GetHeads(self, request: pb.GetHeadsRequest, context: Any) -> pb.GetHeadsResponse:
        return pb.GetHeadsResponse()


class ToldStreamServicer(queue_rpc.RunQueueServiceServicer):
    """Streams as `context` says."""

    def __init__(self) -> None:
        self.read: Callable[[Any, Any], AsyncIterator[Any]] | None = None

    async def ReadContext(self, request: Any, context: Any) -> AsyncIterator[Any]:
        assert self.read is not None
        async for each in self.read(request, context):
            yield each

    async def _unused(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    RegisterRunner = Heartbeat = ClaimRuns = Commit = Release = OfferTitle = GetModelKey = _unused


@dataclass
class Loopback:
    server: WeftServer
    servicer: ToldServicer
    streams: ToldStreamServicer
    port: int
    signer: TokenSigner

    def channel(self, token: str | None = None) -> ServiceChannel:
        """Open a channel; by default with the token of a caller that may read runs."""
        used = self.caller_token() if token is None else token
        return open_channel(f"127.0.0.1:{self.port}", token=lambda: used)

    def caller_token(self, *scopes: str) -> str:
        return self.signer.caller_token(TENANT, "somebody", scopes or ("runs.read",))


@pytest.fixture
async def loopback() -> AsyncIterator[Loopback]:
    server = WeftServer(inner_guards(TokenVerifier(KEY)), strict_reasons=True, max_calls=3)
    servicer, streams = ToldServicer(), ToldStreamServicer()
    server.register(rpc.add_RunLogServiceServicer_to_server, servicer)
    server.register(queue_rpc.add_RunQueueServiceServicer_to_server, streams)
    port = await server.start("127.0.0.1:0")
    yield Loopback(server, servicer, streams, port, TokenSigner(KEY))
    await server.stop(0.2)
