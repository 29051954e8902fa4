"""The service as a process: killed in the middle of a call, told to stop, wrongly set."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from integration.tools.harness import KEY, Setting, a_place, eventually, failure_of, last_of, within
from weft.runs.v1 import event_pb2
from weft.tools.v1 import tool_service_pb2_grpc as rpc
from weft_grpckit.status import reason_of
from weft_testkit.effect_tools import effects_in

LEASE_SECONDS = 1.0


@dataclass
class Process:
    process: asyncio.subprocess.Process
    channel: grpc.aio.Channel

    @property
    def stub(self) -> Any:
        return rpc.ToolServiceStub(self.channel)

    async def ended(self) -> int:
        return int(await within(self.process.wait(), 15))


@asynccontextmanager
async def a_process(setting: Setting, **changes: str) -> AsyncIterator[Process]:
    address = f"127.0.0.1:{free_port()}"
    environment = {
        **os.environ,
        "WEFT_LISTEN_ADDRESS": address,
        "WEFT_THREADS_ADDRESSES": setting.threads.address,
        "WEFT_TOKEN_KEY": KEY.hex(),
        "WEFT_TOOL_PLUGINS": "weft_testkit.effect_tools:effect_tools",
        "WEFT_TOOL_LEASE_SECONDS": str(LEASE_SECONDS),
        **changes,
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "weft_tools", env=environment)
    try:
        async with grpc.aio.insecure_channel(address) as channel:
            await _healthy(channel)
            yield Process(process, channel)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


async def _healthy(channel: grpc.aio.Channel) -> None:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    answer = await stub.Check(health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=20)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize(("arguments", "effects"), [('{"seconds": 30}', 0), ('{"seconds_after": 30}', 1)])
async def test_after_a_kill_the_next_process_says_unknown_within_the_lease_and_repeats_nothing(
    setting: Setting, arguments: str, effects: int
) -> None:
    run = setting.run("count_effect")
    request = a_place("count_effect", arguments=arguments)
    async with a_process(setting) as first, a_process(setting) as second:
        call = first.stub.ExecuteTool(request, metadata=setting.runner(run))
        await within(call.read())
        await eventually(lambda: sum(effects_in(setting.effects).values()) == effects)
        (execution,) = setting.threads.journal.executions.values()
        await eventually(lambda: execution.renewals > 0)
        first.process.kill()
        killed = time.monotonic()
        outcome = await last_of(second.stub.ExecuteTool(request, metadata=setting.runner(run)))
        assert time.monotonic() - killed < LEASE_SECONDS + 1.5
        assert outcome.reason == event_pb2.TOOL_FAILURE_REASON_OUTCOME_UNKNOWN
    assert sum(effects_in(setting.effects).values()) == effects


async def test_sigterm_ends_calls_in_the_grace_then_journals_the_rest_and_exits_with_0(setting: Setting) -> None:
    run = setting.run("count_effect")
    async with a_process(setting, WEFT_STOP_GRACE_SECONDS="9") as tools:
        short = tools.stub.ExecuteTool(
            a_place("count_effect", arguments='{"seconds": 1}'), metadata=setting.runner(run)
        )
        long = tools.stub.ExecuteTool(
            a_place("count_effect", index=1, arguments='{"seconds": 60}'), metadata=setting.runner(run)
        )
        outcomes = asyncio.gather(last_of(short), last_of(long))
        await eventually(lambda: len(setting.threads.journal.executions) == 2)
        tools.process.send_signal(signal.SIGTERM)
        done, interrupted = await within(outcomes, 15)
        assert '"attempt": 1' in done.content
        assert interrupted.reason == event_pb2.TOOL_FAILURE_REASON_OUTCOME_UNKNOWN
        assert await tools.ended() == 0


async def test_without_threads_a_call_is_unavailable_and_the_service_lives_on(setting: Setting) -> None:
    changes = {"WEFT_THREADS_ADDRESSES": f"127.0.0.1:{free_port()}", "WEFT_JOURNAL_PATIENCE_SECONDS": "0.5"}
    async with a_process(setting, **changes) as tools:
        call = tools.stub.ExecuteTool(a_place("count_effect"), metadata=setting.runner(setting.run("count_effect")))
        assert reason_of(await failure_of(call)) == "SERVICE_UNAVAILABLE"
        assert tools.process.returncode is None


async def test_wrong_settings_are_all_told_and_end_it_with_2() -> None:
    environment = {**os.environ, "WEFT_TOKEN_KEY": "", "WEFT_LISTEN_ADDRESS": "nowhere"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "weft_tools", env=environment, stderr=asyncio.subprocess.PIPE
    )
    _, told = await within(process.communicate(), 20)
    assert process.returncode == 2
    assert b"WEFT_TOKEN_KEY" in told
    assert b"WEFT_LISTEN_ADDRESS" in told
