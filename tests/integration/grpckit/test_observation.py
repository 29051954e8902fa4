"""What telemetry tells of calls, served and made: whatever way they end."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import pytest
from opentelemetry.trace import SpanKind, StatusCode
from weft.runs.v1 import run_log_service_pb2 as pb
from weft.runs.v1 import run_log_service_pb2_grpc as rpc
from weft.runs.v1 import run_queue_service_pb2 as queue_pb
from weft.runs.v1 import run_queue_service_pb2_grpc as queue_rpc
from weft_core.errors import NotFoundError
from weft_grpckit.channels import ServiceChannel
from weft_grpckit.status import from_rpc_error
from weft_telemetry import names
from weft_telemetry.tracing import current_trace_id, span
from weft_testkit.recorded_telemetry import Recorded, recorded_telemetry

A_RUN = "run_01h455vb4pex5vsknk084sn02q"
READ = pb.ReadEventsRequest(run_id=A_RUN)
READ_EVENTS = "weft.runs.v1.RunLogService/ReadEvents"
READ_CONTEXT = "weft.runs.v1.RunQueueService/ReadContext"
TRACEPARENT = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")


@pytest.fixture
def telemetry() -> Iterator[Recorded]:
    """Asked for before `loopback`: what is made afterwards is watched."""
    with recorded_telemetry() as recorded:
        yield recorded


def statuses(recorded: Recorded, metric: names.Metric) -> list[tuple[Any, ...]]:
    return [tuple(point.attributes.get(name) for name in metric.attributes) for point in recorded.points(metric)]


async def until_ended(recorded: Recorded, count: int) -> None:
    async with asyncio.timeout(5):
        while len(recorded.spans) < count:  # noqa: ASYNC110 (the exporter tells nobody)
            await asyncio.sleep(0.005)


async def test_a_call_is_a_client_span_with_a_server_span_in_one_trace(telemetry: Recorded, loopback: Any) -> None:
    seen: list[str] = []

    async def read(request: Any, context: Any) -> Any:
        seen.append(current_trace_id())
        return pb.ReadEventsResponse()

    loopback.servicer.read = read
    async with loopback.channel() as channel:
        with span("a run"):
            await rpc.RunLogServiceStub(channel).ReadEvents(READ)
        await until_ended(telemetry, 3)
    root = telemetry.named("a run")[0]
    client, server = (
        next(each for each in telemetry.named(READ_EVENTS) if each.kind is kind)
        for kind in (SpanKind.CLIENT, SpanKind.SERVER)
    )
    assert client.parent == root.context
    assert server.parent is not None
    assert server.parent.span_id == client.context.span_id
    assert seen == [f"{root.context.trace_id:032x}"]
    assert server.attributes is not None
    assert dict(server.attributes) == {
        names.RPC_SYSTEM: "grpc",
        names.RPC_METHOD: READ_EVENTS,
        names.RPC_STATUS: "OK",
        names.TENANT: server.attributes[names.TENANT],
    }
    assert statuses(telemetry, names.RPC_SERVER_DURATION) == [(READ_EVENTS, "OK", None)]
    assert statuses(telemetry, names.RPC_CLIENT_DURATION) == [(READ_EVENTS, "OK")]


async def test_a_refused_call_tells_status_and_reason_and_is_no_fault(telemetry: Recorded, loopback: Any) -> None:
    async def read(request: Any, context: Any) -> Any:
        raise NotFoundError("RUN_NOT_FOUND", "no such run")

    loopback.servicer.read = read
    async with loopback.channel() as channel:
        with span("a run"), pytest.raises(grpc.aio.AioRpcError):
            await rpc.RunLogServiceStub(channel).ReadEvents(READ)
        await until_ended(telemetry, 3)
    for each in telemetry.named(READ_EVENTS):
        assert each.attributes is not None
        assert each.attributes[names.RPC_STATUS] == "NOT_FOUND"
        assert each.attributes[names.REASON] == "RUN_NOT_FOUND"
        assert (each.status.status_code is StatusCode.ERROR) == (each.kind is SpanKind.CLIENT)
    assert statuses(telemetry, names.RPC_SERVER_DURATION) == [(READ_EVENTS, "NOT_FOUND", "RUN_NOT_FOUND")]


async def test_an_internal_error_names_the_trace_that_shows_it(telemetry: Recorded, loopback: Any) -> None:
    async def read(request: Any, context: Any) -> Any:
        raise RuntimeError("a fault")

    loopback.servicer.read = read
    async with loopback.channel() as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rpc.RunLogServiceStub(channel).ReadEvents(READ, metadata=(TRACEPARENT,))
    found = from_rpc_error(caught.value)
    assert found is not None
    assert found.metadata == {"trace_id": TRACEPARENT[1].split("-")[1]}
    assert telemetry.named(READ_EVENTS)[0].status.status_code is StatusCode.ERROR


async def test_a_stream_that_its_client_cancels_ends_both_spans(
    telemetry: Recorded, loopback: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def read(request: Any, context: Any) -> AsyncIterator[Any]:
        while True:
            yield queue_pb.ReadContextResponse()
            await asyncio.sleep(0.001)

    loopback.streams.read = read
    async with loopback.channel() as channel:
        with span("a run"):
            call = read_context(channel)
            await call.read()
            call.cancel()
        await until_ended(telemetry, 3)
    assert [each.attributes[names.RPC_STATUS] for each in telemetry.named(READ_CONTEXT) if each.attributes] == [
        "CANCELLED",
        "CANCELLED",
    ]
    assert "different Context" not in caplog.text


async def test_a_stream_that_is_aborted_in_its_middle_tells_its_status(telemetry: Recorded, loopback: Any) -> None:
    async def read(request: Any, context: Any) -> AsyncIterator[Any]:
        yield queue_pb.ReadContextResponse()
        raise NotFoundError("RUN_NOT_FOUND", "it is gone")

    loopback.streams.read = read
    async with loopback.channel() as channel:
        with span("a run"), pytest.raises(grpc.aio.AioRpcError):
            await read_to_its_end(read_context(channel))
        await until_ended(telemetry, 3)
    assert {each.attributes[names.REASON] for each in telemetry.named(READ_CONTEXT) if each.attributes} == {
        "RUN_NOT_FOUND"
    }


async def test_a_call_made_for_nobody_starts_no_trace_and_is_counted(telemetry: Recorded, loopback: Any) -> None:
    token = loopback.signer.service_token("gateway")
    async with loopback.channel(token) as channel:
        await rpc.RunLogServiceStub(channel).GetHeads(pb.GetHeadsRequest())
    assert telemetry.spans == []
    assert statuses(telemetry, names.RPC_SERVER_DURATION) == [("weft.runs.v1.RunLogService/GetHeads", "OK", None)]


async def test_a_refused_credential_is_seen_too(telemetry: Recorded, loopback: Any) -> None:
    async with loopback.channel("nonsense") as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await rpc.RunLogServiceStub(channel).ReadEvents(READ)
    assert statuses(telemetry, names.RPC_SERVER_DURATION) == [(READ_EVENTS, "UNAUTHENTICATED", "TOKEN_INVALID")]


async def test_without_telemetry_neither_channel_nor_server_has_anything_in_the_way(loopback: Any) -> None:
    """Off costs nothing: what is put together then is what there was before there was telemetry."""
    async with loopback.channel() as channel:
        assert channel._observer is None
        assert isinstance(channel, ServiceChannel)
    assert not any(type(each).__name__ == "ObservationInterceptor" for each in loopback.server.interceptors)


def read_context(channel: ServiceChannel) -> Any:
    request = queue_pb.ReadContextRequest(run_id=A_RUN, epoch=1)
    return queue_rpc.RunQueueServiceStub(channel).ReadContext(request)


async def read_to_its_end(call: Any) -> None:
    async for _ in call:
        pass
