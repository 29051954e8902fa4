"""The real Envoy before a scripted gateway: gRPC, gRPC-Web, server-sent events and what a browser asks first."""

import asyncio
import http.client
import json
from collections.abc import AsyncIterator, Iterator

import aiohttp
import grpc
import pytest
from google.protobuf import json_format
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health
from weft.gateway.v1 import agent_gateway_service_pb2 as pb
from weft.gateway.v1.agent_gateway_service_pb2_grpc import (
    AgentGatewayServicer,
    AgentGatewayStub,
    add_AgentGatewayServicer_to_server,
)
from weft_cli.stack import Stack

EVENTS = 3
BROKEN = "run_that_breaks"
INITIATE, WATCH = "/weft.gateway.v1.AgentGateway/InitiateAgent", "/weft.gateway.v1.AgentGateway/RunEvents"
ORIGIN = "http://localhost:5173"
TRAILERS = 0x80


class PacedGateway(AgentGatewayServicer):
    """Sends the next event only when the test has seen the one before."""

    def __init__(self) -> None:
        self.seen = asyncio.Semaphore(0)

    async def InitiateAgent(
        self, request: pb.InitiateAgentRequest, _context: "grpc.aio.ServicerContext[object, object]"
    ) -> pb.InitiateAgentResponse:
        return pb.InitiateAgentResponse(thread_id=request.text)

    async def StreamAgent(
        self, request: pb.StreamAgentRequest, _context: "grpc.aio.ServicerContext[object, object]"
    ) -> AsyncIterator[pb.StreamAgentResponse]:
        yield pb.StreamAgentResponse(initiated=pb.InitiateAgentResponse(thread_id=request.initiate.text))

    async def ThreadEvents(
        self, request: pb.ThreadEventsRequest, _context: "grpc.aio.ServicerContext[object, object]"
    ) -> AsyncIterator[pb.ThreadEventsResponse]:
        yield pb.ThreadEventsResponse(cursor=request.after)

    async def RunEvents(
        self, request: pb.RunEventsRequest, context: "grpc.aio.ServicerContext[object, object]"
    ) -> AsyncIterator[pb.RunEventsResponse]:
        for seq in range(1, EVENTS + 1):
            response = pb.RunEventsResponse()
            response.events.add(seq=seq)
            yield response
            if request.run_id == BROKEN:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "stopping")
            await self.seen.acquire()


@pytest.fixture
async def gateway() -> PacedGateway:
    return PacedGateway()


@pytest.fixture
async def stack(gateway: PacedGateway) -> AsyncIterator[Stack]:
    async with Stack(members={"envoy"}) as edge:
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        add_AgentGatewayServicer_to_server(gateway, server)
        servicer = health.HealthServicer()
        await servicer.set("", health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        server.add_insecure_port(edge.address("gateway"))
        await server.start()  # after Envoy, which finds it late
        yield edge
        await server.stop(None)


def framed(message: bytes) -> bytes:
    return b"\0" + len(message).to_bytes(4, "big") + message


@pytest.fixture
def connection(stack: Stack) -> Iterator[http.client.HTTPConnection]:
    made = http.client.HTTPConnection("127.0.0.1", stack.ports["envoy"], timeout=10)
    yield made
    made.close()


def post(connection: http.client.HTTPConnection, path: str, message: bytes) -> http.client.HTTPResponse:
    headers = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1", "origin": ORIGIN}
    connection.request("POST", path, framed(message), headers)
    return connection.getresponse()


def read_frame(response: http.client.HTTPResponse) -> tuple[int, bytes]:
    head = response.read(5)
    return head[0], response.read(int.from_bytes(head[1:], "big"))


async def until_healthy(stack: Stack) -> None:
    async with grpc.aio.insecure_channel(stack.address("envoy")) as channel:
        request = pb.InitiateAgentRequest(text="x")
        await AgentGatewayStub(channel).InitiateAgent(request, wait_for_ready=True, timeout=10)


async def test_a_grpc_stream_passes_message_by_message(stack: Stack, gateway: PacedGateway) -> None:
    await until_healthy(stack)
    async with grpc.aio.insecure_channel(stack.address("envoy")) as channel, asyncio.timeout(10):
        seqs = []
        async for response in AgentGatewayStub(channel).RunEvents(pb.RunEventsRequest()):
            seqs.append(response.events[0].seq)
            gateway.seen.release()
    assert seqs == [1, 2, 3]


async def test_a_grpc_web_call_is_answered(stack: Stack, connection: http.client.HTTPConnection) -> None:
    await until_healthy(stack)
    request = pb.InitiateAgentRequest(text="thr_7").SerializeToString()
    with await asyncio.to_thread(post, connection, INITIATE, request) as response:
        assert response.getheader("access-control-allow-origin") == ORIGIN
        flags, message = await asyncio.to_thread(read_frame, response)
        assert (flags, pb.InitiateAgentResponse.FromString(message).thread_id) == (0, "thr_7")
        flags, trailers = await asyncio.to_thread(read_frame, response)
    assert flags == TRAILERS
    assert b"grpc-status:0" in trailers


async def test_a_grpc_web_stream_passes_message_by_message(
    stack: Stack, gateway: PacedGateway, connection: http.client.HTTPConnection
) -> None:
    await until_healthy(stack)
    with await asyncio.to_thread(post, connection, WATCH, b"") as response:
        for seq in range(1, EVENTS + 1):
            _, message = await asyncio.to_thread(read_frame, response)
            assert pb.RunEventsResponse.FromString(message).events[0].seq == seq
            gateway.seen.release()
        flags, _ = await asyncio.to_thread(read_frame, response)
    assert flags == TRAILERS


async def test_a_page_of_this_machine_may_call(connection: http.client.HTTPConnection) -> None:
    assert await asyncio.to_thread(preflight, connection, ORIGIN) == ORIGIN


async def test_a_page_of_elsewhere_may_not_call(connection: http.client.HTTPConnection) -> None:
    assert await asyncio.to_thread(preflight, connection, "https://elsewhere.example") is None


def preflight(connection: http.client.HTTPConnection, origin: str) -> str | None:
    headers = {"origin": origin, "access-control-request-method": "POST", "access-control-request-headers": "x-api-key"}
    connection.request("OPTIONS", INITIATE, headers=headers)
    with connection.getresponse() as response:
        return response.getheader("access-control-allow-origin")


async def test_server_sent_events_pass_message_by_message(
    stack: Stack, gateway: PacedGateway, connection: http.client.HTTPConnection
) -> None:
    await until_healthy(stack)

    def get() -> http.client.HTTPResponse:
        connection.request("GET", "/v1/runs/run_7/events?after_seq=1", headers={"origin": ORIGIN})
        return connection.getresponse()

    with await asyncio.to_thread(get) as response:
        assert response.getheader("content-type") == "text/event-stream"
        assert response.getheader("access-control-allow-origin") == ORIGIN
        for seq in range(1, EVENTS + 1):
            line = await asyncio.to_thread(response.readline)
            assert json.loads(line.removeprefix(b"data: ")) == {"events": [{"seq": str(seq)}]}
            assert await asyncio.to_thread(response.readline) == b"\n"
            gateway.seen.release()
        assert await asyncio.to_thread(response.read) == b""


async def test_server_sent_events_that_break_end_without_a_word(
    stack: Stack, connection: http.client.HTTPConnection
) -> None:
    await until_healthy(stack)

    def get() -> bytes:
        connection.request("GET", f"/v1/runs/{BROKEN}/events")
        with connection.getresponse() as response:
            return response.read()

    assert await asyncio.to_thread(get) == b'data: {"events":[{"seq":"1"}]}\n\n'


async def test_without_a_gateway_rest_and_grpc_are_told_each_in_its_own_way() -> None:
    async with Stack(members={"envoy"}) as edge:
        url = f"http://{edge.address('envoy')}/v1/runs"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            told = json_format.Parse(await response.text(), status_pb2.Status())
            assert (response.status, told.code) == (503, code_pb2.UNAVAILABLE)
            info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
            assert [told.details[0].Unpack(info), told.details[1].Unpack(retry)] == [True, True]
            assert (info.reason, retry.retry_delay.seconds) == ("SERVICE_UNAVAILABLE", 1)
        async with grpc.aio.insecure_channel(edge.address("envoy")) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await AgentGatewayStub(channel).InitiateAgent(pb.InitiateAgentRequest(text="x"), timeout=10)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "{" not in (caught.value.details() or "")
