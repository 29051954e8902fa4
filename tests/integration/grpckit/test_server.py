"""What a caller sees of a server, whatever its methods do."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from weft.runs.v1 import run_log_service_pb2 as pb
from weft.runs.v1 import run_log_service_pb2_grpc as rpc
from weft.runs.v1 import run_queue_service_pb2 as queue_pb
from weft.runs.v1 import run_queue_service_pb2_grpc as queue_rpc
from weft_core.errors import NotFoundError, ResourceExhaustedError, server_stopping
from weft_grpckit import deadlines
from weft_grpckit.context import caller_of, current_token
from weft_grpckit.server import WeftServer
from weft_grpckit.status import from_rpc_error, reason_of
from weft_grpckit.tokens import TokenSigner

A_RUN = "run_01h455vb4pex5vsknk084sn02q"
READ = pb.ReadEventsRequest(run_id=A_RUN)


async def failure(call: Any, timeout: float = 3) -> grpc.aio.AioRpcError:
    async with asyncio.timeout(timeout):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
    return caught.value


async def test_an_error_travels_with_its_reason_metadata_and_retry_delay(loopback: Any) -> None:
    async def read(request: Any, context: Any) -> Any:
        raise NotFoundError("RUN_NOT_FOUND", "no such run", metadata={"run": "x"}, retry_after_seconds=1.5)

    loopback.servicer.read = read
    async with loopback.channel() as channel:
        error = await failure(rpc.RunLogServiceStub(channel).ReadEvents(READ))
    assert error.code() is grpc.StatusCode.NOT_FOUND
    found = from_rpc_error(error)
    assert isinstance(found, NotFoundError)
    assert (found.reason, found.metadata, found.retry_after_seconds) == ("RUN_NOT_FOUND", {"run": "x"}, 1.5)


async def test_a_reason_that_is_not_declared_becomes_internal_when_reasons_are_strict(loopback: Any) -> None:
    async def read(request: Any, context: Any) -> Any:
        raise ResourceExhaustedError("THREAD_LIMIT", "too many")

    loopback.servicer.read = read
    async with loopback.channel() as channel:
        error = await failure(rpc.RunLogServiceStub(channel).ReadEvents(READ))
    assert error.code() is grpc.StatusCode.INTERNAL
    assert "undeclared reason THREAD_LIMIT" in (error.details() or "")


async def test_an_unknown_exception_tells_nothing_but_a_trace_id(loopback: Any, caplog: Any) -> None:
    async def read(request: Any, context: Any) -> Any:
        raise RuntimeError("the password is secret")

    loopback.servicer.read = read
    async with loopback.channel() as channel:
        error = await failure(rpc.RunLogServiceStub(channel).ReadEvents(READ))
    assert (error.code(), error.details()) == (grpc.StatusCode.INTERNAL, "internal error")
    found = from_rpc_error(error)
    assert found is not None
    assert found.metadata["trace_id"] in caplog.text


async def test_a_cancelled_inner_task_is_answered_at_once_when_the_call_was_not_cancelled(loopback: Any) -> None:
    async def read(request: Any, context: Any) -> Any:
        inner = asyncio.create_task(asyncio.sleep(60))
        inner.cancel()
        await inner

    loopback.servicer.read = read
    async with loopback.channel() as channel:
        error = await failure(rpc.RunLogServiceStub(channel).ReadEvents(READ))
    assert (error.code(), reason_of(error)) == (grpc.StatusCode.INTERNAL, "INTERNAL")


async def test_a_failing_stream_ends_with_its_reason(loopback: Any) -> None:
    async def read(request: Any, context: Any) -> AsyncIterator[Any]:
        yield queue_pb.ReadContextResponse()
        raise NotFoundError("RUN_NOT_FOUND", "gone")

    loopback.streams.read = read
    async with loopback.channel() as channel:
        call = queue_rpc.RunQueueServiceStub(channel).ReadContext(a_context_request())
        await call.read()
        error = await failure(call.read())
    assert reason_of(error) == "RUN_NOT_FOUND"


def a_context_request() -> queue_pb.ReadContextRequest:
    return queue_pb.ReadContextRequest(run_id=A_RUN, epoch=1)


async def test_a_stream_frees_what_it_holds_when_its_client_cancels(loopback: Any) -> None:
    freed = asyncio.Event()

    async def read(request: Any, context: Any) -> AsyncIterator[Any]:
        try:
            while True:
                yield queue_pb.ReadContextResponse()
                await asyncio.sleep(0.001)
        finally:
            freed.set()

    loopback.streams.read = read
    async with loopback.channel() as channel:
        call = queue_rpc.RunQueueServiceStub(channel).ReadContext(a_context_request())
        await call.read()
        call.cancel()
        async with asyncio.timeout(2):
            await freed.wait()


async def test_bad_fields_are_named(loopback: Any) -> None:
    async with loopback.channel() as channel:
        error = await failure(
            rpc.RunLogServiceStub(channel).ReadEvents(pb.ReadEventsRequest(run_id="thr_1", after_seq=-1))
        )
    found = from_rpc_error(error)
    assert found is not None
    assert found.reason == "INVALID_FIELDS"
    assert {each.field for each in found.violations} == {"run_id", "after_seq"}


@pytest.mark.parametrize("forged", ["", "junk", "eyJhbGciOiJub25lIn0.e30."])
async def test_a_call_without_a_valid_token_is_refused(loopback: Any, forged: str) -> None:
    async with loopback.channel(forged) as channel:
        error = await failure(rpc.RunLogServiceStub(channel).ReadEvents(READ))
    assert (error.code(), reason_of(error)) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")


async def test_a_token_of_another_key_is_refused(loopback: Any) -> None:
    token = TokenSigner(b"x" * 32).caller_token(UUID(int=1), "p", ["runs.read"])
    async with loopback.channel(token) as channel:
        error = await failure(rpc.RunLogServiceStub(channel).ReadEvents(READ))
    assert reason_of(error) == "TOKEN_INVALID"


async def test_a_caller_without_the_scope_is_told_which_one_is_missing(loopback: Any) -> None:
    async with loopback.channel(loopback.caller_token("agents.read")) as channel:
        error = await failure(rpc.RunLogServiceStub(channel).ReadEvents(READ))
    found = from_rpc_error(error)
    assert found is not None
    assert (found.reason, found.metadata) == ("SCOPE_MISSING", {"scope": "runs.read"})


async def test_a_service_token_opens_the_methods_of_that_service_only(loopback: Any) -> None:
    async with loopback.channel(loopback.signer.service_token("gateway")) as channel:
        stub = rpc.RunLogServiceStub(channel)
        await stub.GetHeads(pb.GetHeadsRequest())
        assert reason_of(await failure(stub.ReadEvents(READ))) == "TOKEN_INVALID"
    async with loopback.channel(loopback.signer.service_token("tools")) as channel:
        assert (
            reason_of(await failure(rpc.RunLogServiceStub(channel).GetHeads(pb.GetHeadsRequest()))) == "TOKEN_INVALID"
        )
    async with loopback.channel() as channel:
        assert (
            reason_of(await failure(rpc.RunLogServiceStub(channel).GetHeads(pb.GetHeadsRequest()))) == "TOKEN_INVALID"
        )


async def test_a_method_knows_its_caller_and_its_deadline(loopback: Any) -> None:
    seen: dict[str, Any] = {}

    async def read(request: Any, context: Any) -> Any:
        seen.update(caller=caller_of(context), token=current_token(), hop=deadlines.next_hop_timeout(30))
        return pb.ReadEventsResponse()

    loopback.servicer.read = read
    async with loopback.channel() as channel:
        await rpc.RunLogServiceStub(channel).ReadEvents(READ, timeout=2)
    assert seen["caller"].tenant_id == UUID(int=7)
    assert seen["caller"].scopes == {"runs.read"}
    assert seen["token"] == loopback.caller_token()
    assert 1 < seen["hop"] < 2


async def test_an_unknown_method_says_so(loopback: Any) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{loopback.port}") as channel:
        call: Any = channel.unary_unary("/weft.runs.v1.RunLogService/Nothing")
        error = await failure(call(b""))
    assert (error.code(), reason_of(error)) == (grpc.StatusCode.UNIMPLEMENTED, "METHOD_UNKNOWN")


@pytest.mark.parametrize("data", [b"\x0a\xff", b"\x0a\x03\xed\xa0\x80"], ids=["cut", "lone surrogate"])
async def test_bytes_that_are_no_request_are_invalid(loopback: Any, data: bytes) -> None:
    async with loopback.channel() as channel:
        error = await failure(channel.unary_unary("/weft.runs.v1.RunLogService/ReadEvents")(data))
    assert (error.code(), reason_of(error)) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELDS")


async def test_calls_above_the_limit_are_told_to_come_back(loopback: Any) -> None:
    release, arrived = asyncio.Event(), asyncio.Semaphore(0)

    async def read(request: Any, context: Any) -> Any:
        arrived.release()
        await release.wait()
        return pb.ReadEventsResponse()

    loopback.servicer.read = read
    async with loopback.channel() as channel, asyncio.timeout(5):
        stub = rpc.RunLogServiceStub(channel)
        held = [asyncio.ensure_future(_answered(stub.ReadEvents(READ))) for _ in range(3)]
        for _ in held:
            await arrived.acquire()
        error = await failure(stub.ReadEvents(READ))
        release.set()
        await asyncio.gather(*held)
    found = from_rpc_error(error)
    assert found is not None
    assert (found.reason, found.retry_after_seconds) == ("OVERLOADED", 1.0)


async def _answered(call: Any) -> Any:
    return await call


async def test_a_watch_ends_at_once_and_a_call_under_way_is_finished_when_the_server_stops(loopback: Any) -> None:
    entered = asyncio.Event()

    async def read(request: Any, context: Any) -> Any:
        entered.set()
        await asyncio.sleep(0.1)
        return pb.ReadEventsResponse(last_seq=5)

    async def watch(request: Any, context: Any) -> AsyncIterator[Any]:
        yield queue_pb.ReadContextResponse()
        await loopback.server.stopping.wait()
        raise server_stopping()

    loopback.servicer.read, loopback.streams.read = read, watch
    async with loopback.channel() as channel:
        stream = queue_rpc.RunQueueServiceStub(channel).ReadContext(a_context_request())
        await stream.read()
        call = asyncio.ensure_future(_answered(rpc.RunLogServiceStub(channel).ReadEvents(READ)))
        await entered.wait()
        stop = asyncio.create_task(loopback.server.stop(5))
        error = await failure(stream.read())
        assert (error.code(), reason_of(error)) == (grpc.StatusCode.UNAVAILABLE, "SERVER_STOPPING")
        assert (await call).last_seq == 5
        async with asyncio.timeout(1):
            await stop


async def test_health_is_not_serving_when_the_server_stops(loopback: Any) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{loopback.port}") as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        assert (await stub.Check(health_pb2.HealthCheckRequest())).status == health_pb2.HealthCheckResponse.SERVING
        await loopback.server.announce_stop()
        assert (await stub.Check(health_pb2.HealthCheckRequest())).status == health_pb2.HealthCheckResponse.NOT_SERVING


async def test_stop_waits_for_what_a_cancelled_call_cleans_up(loopback: Any) -> None:
    cleaned = asyncio.Event()

    async def watch(request: Any, context: Any) -> AsyncIterator[Any]:
        try:
            yield queue_pb.ReadContextResponse()
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.1)
            cleaned.set()

    loopback.streams.read = watch
    async with loopback.channel() as channel:
        stream = queue_rpc.RunQueueServiceStub(channel).ReadContext(a_context_request())
        await stream.read()
        await loopback.server.stop(0.05)
        assert cleaned.is_set()
        stream.cancel()


async def test_two_servers_cannot_share_a_port(loopback: Any) -> None:
    other = WeftServer([])
    with pytest.raises(RuntimeError):
        await other.start(f"127.0.0.1:{loopback.port}")
    await other.stop(0)


async def test_status_details_can_be_read_by_others(loopback: Any) -> None:
    async with loopback.channel("junk") as channel:
        call = rpc.RunLogServiceStub(channel).ReadEvents(READ)
        error = await failure(call)
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.domain, info.reason) == ("weft", "TOKEN_INVALID")
