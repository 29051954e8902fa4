"""Channels to several replicas: calls are spread, and go on when one dies."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import grpc
import pytest
from weft.runs.v1 import run_log_service_pb2 as pb
from weft.runs.v1 import run_log_service_pb2_grpc as rpc
from weft_grpckit import deadlines, options
from weft_grpckit.channels import open_channel, service_token
from weft_grpckit.context import caller_of
from weft_grpckit.server import WeftServer, inner_guards
from weft_grpckit.tokens import TokenSigner, TokenVerifier, token_metadata

KEY = b"k" * 32
SIGNER = TokenSigner(KEY)
READ = pb.ReadEventsRequest(run_id="run_01h455vb4pex5vsknk084sn02q")


class Replica(rpc.RunLogServiceServicer):
    def __init__(self) -> None:
        self.principals: list[str] = []
        self.remaining: list[float | None] = []
        self.server = WeftServer(inner_guards(TokenVerifier(KEY)))
        self.server.register(rpc.add_RunLogServiceServicer_to_server, self)

    async def ReadEvents(self, request: pb.ReadEventsRequest, context: Any) -> pb.ReadEventsResponse:
        self.principals.append(caller_of(context).principal)
        self.remaining.append(deadlines.remaining())
        return pb.ReadEventsResponse()

    async def ReadThreadEvents(self, request: pb.ReadThreadEventsRequest, context: Any) -> pb.ReadThreadEventsResponse:
        return pb.ReadThreadEventsResponse()

    async def GetHeads(self, request: pb.GetHeadsRequest, context: Any) -> pb.GetHeadsResponse:
        self.principals.append(caller_of(context).service)
        return pb.GetHeadsResponse()


@asynccontextmanager
async def replicas(count: int) -> AsyncIterator[tuple[list[Replica], str]]:
    made = [Replica() for _ in range(count)]
    ports = [await each.server.start("127.0.0.1:0") for each in made]
    try:
        yield made, ",".join(f"127.0.0.1:{port}" for port in ports)
    finally:
        for each in made:
            await each.server.stop(0)


def a_token(principal: str) -> str:
    return SIGNER.caller_token(UUID(int=1), principal, ["runs.read"])


async def test_calls_are_spread_over_replicas_and_go_on_when_one_dies() -> None:
    async with replicas(2) as (made, addresses), open_channel(addresses, token=lambda: a_token("p")) as channel:
        stub = rpc.RunLogServiceStub(channel)
        async with asyncio.timeout(5):
            while not all(each.principals for each in made):
                await stub.ReadEvents(READ)
        await made[0].server.stop(0)
        failed = 0
        for _ in range(20):
            try:
                await stub.ReadEvents(READ)
            except grpc.aio.AioRpcError:
                failed += 1
        assert failed <= 1


async def test_a_token_given_with_a_call_goes_before_that_of_the_channel() -> None:
    async with replicas(1) as (made, addresses):
        async with open_channel(addresses, token=service_token(SIGNER, "gateway")) as channel:
            stub = rpc.RunLogServiceStub(channel)
            await stub.GetHeads(pb.GetHeadsRequest())
            await stub.ReadEvents(READ, metadata=token_metadata(a_token("somebody")))
        assert made[0].principals == ["gateway", "somebody"]


@pytest.mark.parametrize(
    ("served", "asked", "least", "most"),
    [(20.0, None, 10, 20), (20.0, 8.0, 4, 8.1), (None, 8.0, 4, 8.1), (None, None, 22, 31)],
)
async def test_a_call_never_outlives_the_call_that_it_serves(
    served: float | None, asked: float | None, least: float, most: float
) -> None:
    async with replicas(1) as (made, addresses):
        async with open_channel(addresses, token=lambda: a_token("p"), timeout_seconds=30) as channel:
            deadlines.set_remaining(served)
            await rpc.RunLogServiceStub(channel).ReadEvents(READ, timeout=asked)
        (remaining,) = made[0].remaining
        assert remaining is not None
        assert least < remaining <= most


async def test_calls_and_streams_under_way_do_not_notice_that_their_connection_is_old() -> None:
    async def answer(request: bytes, context: Any) -> bytes:
        await asyncio.sleep(0.002)
        return request

    async def count(request: bytes, context: Any) -> AsyncIterator[bytes]:
        for number in range(30):
            await asyncio.sleep(0.05)
            yield bytes([number])

    methods: dict[str, Any] = {
        "Answer": grpc.unary_unary_rpc_method_handler(answer),
        "Count": grpc.unary_stream_rpc_method_handler(count),
    }
    aged = {**dict(options.SERVER), "grpc.max_connection_age_ms": 100}
    server = grpc.aio.server(options=list(aged.items()))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Old", methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with open_channel(f"127.0.0.1:{port}", token=lambda: "") as channel:
        call, stream = channel.unary_unary("/test.Old/Answer"), channel.unary_stream("/test.Old/Count")
        streams = [asyncio.create_task(_counted(stream(b""))) for _ in range(5)]
        while not all(each.done() for each in streams):
            assert await asyncio.gather(*(call(bytes([n])) for n in range(10))) == [bytes([n]) for n in range(10)]
        assert [each.result() for each in streams] == [list(range(30))] * 5
    await server.stop(0)


async def _counted(call: Any) -> list[int]:
    return [message[0] async for message in call]
