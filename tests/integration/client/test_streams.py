"""Both clients against a gateway that misbehaves, over real connections."""

import asyncio
import gc
import signal
import subprocess
import sys

import grpc
import pytest
from client_world import LOG, Client, FakeGateway, brings, lingers, silent_after
from weft.gateway.v1 import agent_gateway_service_pb2_grpc as gateway_grpc
from weft_client import (
    AsyncWeft,
    CancelledByServerError,
    ClientClosedError,
    DeadlineExceededError,
    ResourceExhaustedError,
    UnauthenticatedError,
    UnavailableError,
    Weft,
    WeftError,
)
from weft_core.errors import server_stopping


@pytest.mark.parametrize(
    "error",
    [
        server_stopping(),
        CancelledByServerError("", "overrun"),
        ResourceExhaustedError("OVERLOADED", "too many calls", retry_after_seconds=0.05),
        None,
    ],
)
async def test_a_stream_resumes_behind_its_last_event(
    gateway: FakeGateway, client: Client, error: WeftError | None
) -> None:
    gateway.behaviours = [brings(3, error), brings(0, error), brings(2, error)]
    assert await client.collect(client.weft.events("run_1")) == LOG
    first, *_, last = gateway.cursors
    assert first == 0
    assert last > 0


async def test_a_silent_stream_is_left_and_opened_anew(gateway: FakeGateway, client: Client) -> None:
    gateway.behaviours = [silent_after(4)]
    assert await client.collect(client.weft.events("run_1")) == LOG
    assert gateway.cursors == [0, 4]
    async with asyncio.timeout(5):
        await gateway.freed.wait()


async def test_a_stream_that_is_left_is_freed_at_the_server(gateway: FakeGateway, client: Client) -> None:
    gateway.behaviours = [silent_after(4)]
    assert await client.collect(client.weft.events("run_1"), 2) == LOG[:2]
    async with asyncio.timeout(5):
        await gateway.freed.wait()
    assert gateway.cursors == [0]


async def test_a_stream_to_the_end_is_a_call_that_went_well(gateway: FakeGateway, client: Client) -> None:
    gateway.behaviours = [lingers]
    assert await client.collect(client.weft.events("run_1")) == LOG
    assert gateway.went_well == 1


async def test_a_stream_that_starts_a_run_has_its_ids_first(gateway: FakeGateway, client: Client) -> None:
    answer = await client.call("run", "Hello", thread="thr_1")
    assert answer.text == "2 3 4 5 6 7 8 "
    assert (answer.run_id, answer.thread_id) == ("run_1", "thr_1")
    assert gateway.starts[0].thread_id == "thr_1"
    assert gateway.metadata[0]["x-api-key"] == "key"


async def test_the_time_given_ends_the_wait_and_frees_the_call(gateway: FakeGateway, client: Client) -> None:
    gateway.behaviours = [silent_after(2)] * 9
    with pytest.raises(DeadlineExceededError, match="run_1 has not ended") as raised:
        await client.call("run", "Hello", timeout=2)
    assert raised.value.metadata == {"run_id": "run_1"}
    async with asyncio.timeout(5):
        await gateway.freed.wait()


async def test_a_key_that_is_revoked_in_mid_stream_ends_it(gateway: FakeGateway, client: Client) -> None:
    gateway.behaviours = [brings(2, UnauthenticatedError("API_KEY_INVALID", "revoked"))]
    with pytest.raises(UnauthenticatedError, match="API_KEY_INVALID"):
        await client.collect(client.weft.events("run_1"))


async def test_closing_the_client_ends_its_open_streams(gateway: FakeGateway, client: Client) -> None:
    gateway.behaviours = [silent_after(2)] * 99
    watching = asyncio.create_task(client.collect(client.weft.events("run_1")))
    async with asyncio.timeout(5):
        await gateway.arrived.wait()
    await client.close()
    with pytest.raises(ClientClosedError):
        await watching
    async with asyncio.timeout(5):
        await gateway.freed.wait()
    with pytest.raises(ClientClosedError):
        await client.call("start", "Hello")


async def test_nobody_at_the_address_is_told_soon(client: Client) -> None:
    away = type(client.weft)("127.0.0.1:1", "key", timeout=0.5)
    with pytest.raises(UnavailableError) as raised:
        await Client(away).call("start", "Hello")
    assert raised.value.reason == ""
    await Client(away).close()


async def test_a_break_frees_the_call_of_an_async_stream(gateway: FakeGateway) -> None:
    gateway.behaviours = [silent_after(4)]
    async with AsyncWeft(gateway.address, "key") as client:
        async for event in client.events("run_1"):
            assert event.seq == 1
            break
        gc.collect()
        async with asyncio.timeout(5):
            await gateway.freed.wait()


async def test_a_cancelled_task_frees_the_call_of_an_async_stream(gateway: FakeGateway) -> None:
    gateway.behaviours = [silent_after(4)]
    async with AsyncWeft(gateway.address, "key") as client:
        running = asyncio.create_task(client.run("Hello"))
        async with asyncio.timeout(5):
            await gateway.arrived.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        async with asyncio.timeout(5):
            await gateway.freed.wait()
    assert gateway.cursors == [0]


async def test_credentials_are_what_the_channel_is_made_with() -> None:
    gateway, server = FakeGateway(), grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    gateway_grpc.add_AgentGatewayServicer_to_server(gateway, server)
    port = server.add_secure_port("127.0.0.1:0", grpc.local_server_credentials())
    await server.start()
    credentials = grpc.local_channel_credentials()
    async with AsyncWeft(f"127.0.0.1:{port}", "key", credentials=credentials) as client:
        assert (await client.run("Hello")).run_id == "run_1"
    with Weft(f"127.0.0.1:{port}", "key", credentials=credentials) as client_:
        assert (await asyncio.to_thread(client_.run, "Hello")).run_id == "run_1"
    await server.stop(None)


async def test_an_address_with_https_speaks_no_plain_text(gateway: FakeGateway) -> None:
    async with AsyncWeft(f"https://{gateway.address}", "key", timeout=0.5) as client:
        with pytest.raises(UnavailableError):
            await client.start("Hello")
    assert gateway.starts == []


READER = """
import sys
from weft_client import Weft

with Weft(sys.argv[1], "key") as weft:
    for event in weft.events("run_1"):
        print(event.seq, flush=True)
"""


async def test_ctrl_c_ends_a_blocked_reader_at_once_and_frees_its_call(gateway: FakeGateway) -> None:
    gateway.behaviours = [silent_after(1)]
    reader = await asyncio.create_subprocess_exec(
        sys.executable, "-c", READER, gateway.address, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert reader.stdout is not None
    async with asyncio.timeout(20):
        assert await reader.stdout.readline() == b"1\n"
        reader.send_signal(signal.SIGINT)
        _, told = await reader.communicate()
        await gateway.freed.wait()
    assert told.rstrip().endswith(b"KeyboardInterrupt")
