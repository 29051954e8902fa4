"""What finds blocks of an event loop: one that computes, one that waits, and nothing else."""

import asyncio
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator

import pytest
from weft_telemetry.stalls import Stall, StallWatch

LIMIT_SECONDS = 0.05


class Watched:
    def __init__(self) -> None:
        self.stalls: list[Stall] = []

    async def settle(self) -> None:
        """Let the watch see that the loop goes on."""
        for _ in range(20):
            await asyncio.sleep(0.01)


@pytest.fixture
async def watched() -> AsyncIterator[Watched]:
    found = Watched()
    watch = StallWatch(LIMIT_SECONDS, found.stalls.append)
    watch.start()
    await found.settle()
    yield found
    watch.stop()


def compute(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def keep_the_interpreter_lock(seconds: float) -> None:
    """In one call of C code that lets no other thread look."""
    end = time.thread_time() + seconds
    number = 3**20_000
    while time.thread_time() < end:
        number = number * number
    hashlib.sha256(str(number.bit_length()).encode())


@pytest.mark.row("C1")
@pytest.mark.parametrize("block", [time.sleep, compute, keep_the_interpreter_lock])
async def test_a_step_that_blocks_is_found_with_its_stack(watched: Watched, block: object) -> None:
    assert callable(block)
    for _ in range(10):  # what the kernel took from this thread meanwhile is not counted as a block
        block(0.3)
        await watched.settle()
        if watched.stalls:
            break
    assert watched.stalls
    assert all(stall.seconds >= LIMIT_SECONDS for stall in watched.stalls)
    assert any("test_stalls.py" in stall.stack for stall in watched.stalls)


async def test_many_short_steps_are_no_block(watched: Watched) -> None:
    async def busy() -> None:
        for _ in range(100):
            compute(0.004)
            await asyncio.sleep(0)

    await asyncio.gather(*(busy() for _ in range(4)))
    await watched.settle()
    assert watched.stalls == []


async def test_a_loop_that_has_nothing_to_do_is_not_blocked(watched: Watched) -> None:
    await asyncio.sleep(0.3)
    assert watched.stalls == []


PROGRAM = """
import asyncio, time
from weft_grpckit.program import run_service
from weft_grpckit.server import WeftServer
from weft_grpckit.settings import ServerSettings

async def block(program):
    await asyncio.sleep(0.2)
    time.sleep(0.5)
    await asyncio.sleep(0.2)
    program.stopping.set()
    await asyncio.sleep(60)

async def compose(program):
    time.sleep(0.5)  # the start is left out
    program.spawn("blocking", block(program))

run_service("a-service", ServerSettings(token_key="5a" * 32), compose)
"""


def test_a_service_tells_of_blocks_after_its_start_where_that_is_asked_for() -> None:
    env = {**os.environ, "WEFT_STALL_SECONDS": "0.05"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert done.stderr.count("the event loop was blocked for") == 1, done.stderr
    assert "in block" in done.stderr
