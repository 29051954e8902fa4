"""The life of a process: what is opened is closed in reverse, siblings stop together, before it."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from weft_grpckit.program import Program, end_tasks
from weft_grpckit.server import WeftServer

SERVICE = """
import asyncio
from weft_grpckit.program import run_program
from weft_grpckit.server import WeftServer

async def compose(program):
    await program.serve(WeftServer([], stopping=program.stopping), "127.0.0.1:0")
    print("up", flush=True)

run_program(compose, grace_seconds=1)
"""


async def test_everything_stops_in_order_when_it_is_told_to() -> None:
    happened: list[str] = []
    program = Program(grace_seconds=1)

    @asynccontextmanager
    async def dependency(name: str) -> AsyncIterator[str]:
        happened.append(f"open {name}")
        yield name
        happened.append(f"close {name}")

    async def sibling() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            happened.append("sibling ends")

    async def drain() -> None:
        assert program.stopping.is_set()
        happened.append("drain")

    async def compose(program: Program) -> None:
        await program.enter(dependency("first"))
        await program.enter(dependency("second"))
        program.spawn("sibling", sibling())
        program.on_drain(drain)
        await program.serve(WeftServer([], stopping=program.stopping), "127.0.0.1:0")
        asyncio.get_running_loop().call_later(0.05, program.stopping.set)

    async with asyncio.timeout(5):
        await program.run(compose)
    assert happened == ["open first", "open second", "drain", "sibling ends", "close second", "close first"]


async def test_a_sibling_that_fails_stops_all_and_is_told() -> None:
    program = Program(grace_seconds=1)

    async def fail() -> None:
        raise LookupError("the reason")

    async def compose(program: Program) -> None:
        program.spawn("failing", fail())

    async with asyncio.timeout(5):
        with pytest.raises(LookupError, match="the reason"):
            await program.run(compose)


async def test_a_composition_that_fails_closes_what_was_opened() -> None:
    closed = asyncio.Event()
    program = Program(grace_seconds=1)

    async def close() -> None:
        closed.set()

    async def compose(program: Program) -> None:
        program.close_later(close)
        raise OSError("the port is taken")

    with pytest.raises(OSError, match="taken"):
        await program.run(compose)
    assert closed.is_set()


async def test_a_drain_that_hangs_is_bounded_by_the_grace() -> None:
    program = Program(grace_seconds=0.1)

    async def hang() -> None:
        await asyncio.sleep(60)

    async def compose(program: Program) -> None:
        program.on_drain(hang)
        program.stopping.set()

    async with asyncio.timeout(2):
        await program.run(compose)


async def test_drains_and_calls_share_one_grace() -> None:
    program = Program(grace_seconds=2)
    given: list[float] = []

    class Server(WeftServer):
        async def stop(self, grace_seconds: float) -> None:
            given.append(grace_seconds)
            await super().stop(grace_seconds)

    async def drain(seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def compose(program: Program) -> None:
        program.on_drain(lambda: drain(0.2))
        program.on_drain(lambda: drain(0.2))
        await program.serve(Server([], stopping=program.stopping), "127.0.0.1:0")
        program.stopping.set()

    async with asyncio.timeout(5):
        await program.run(compose)
    (left,) = given
    assert 1 <= left <= 1.61


async def test_a_task_that_swallows_its_first_cancellation_is_ended_all_the_same() -> None:
    async def stubborn() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(60)

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await end_tasks([task])
    assert task.cancelled()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_process_ends_with_0_when_it_is_signalled(number: signal.Signals) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVICE, stdout=asyncio.subprocess.PIPE, env=dict(os.environ)
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            assert await process.stdout.readline() == b"up\n"
            process.send_signal(number)
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
