"""D4: 200 callers at once, each from its question to its whole answer, against servers whose threads block.

One has as many threads as a runner has slots by default, as a blocking server is sized: a caller without one waits. The
other has a thread for each caller: what it costs Weft to be several services that keep more is seen there.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import mean
from time import perf_counter
from typing import Any

import blocking_server
import grpc
from figures import Figure, Round
from world import World, require_success

CALLERS, THREADS, TOKENS, PACE = 200, 50, 200, 50
MODEL = f"scripted:count={TOKENS},tps={PACE},tag=blocking"
QUESTION = "Hello there"
ROUNDS = 2


async def measure(world: World, rounds: int) -> list[Figure]:
    agent = await world.make_agent(MODEL)
    pooled = Figure(f"{CALLERS} callers at once, mean, to {THREADS} blocking threads", floor=0.7, unit="s")
    unbound = Figure("  to a blocking thread for each", unit="s")

    async def weft() -> None:
        if not require_success(await world.run(agent, QUESTION)).text.endswith(f" t{TOKENS}"):
            raise RuntimeError("tokens are missing")

    for _ in range(min(rounds, ROUNDS)):
        with world.costing(f"{CALLERS} callers at once, {TOKENS} tokens", CALLERS):
            ours = await _together(weft)
        for figure, threads in ((pooled, THREADS), (unbound, CALLERS)):
            async with _blocking_server(world, threads) as ask:
                figure.rounds.append(Round([await _together(ask)], [ours]))
    return [pooled, unbound]


async def _together(ask: Callable[[], Awaitable[None]]) -> float:
    """Return how many seconds a caller of many waits, on average."""

    async def timed() -> float:
        begun = perf_counter()
        await ask()
        return perf_counter() - begun

    return mean(await asyncio.gather(*(timed() for _ in range(CALLERS))))


@asynccontextmanager
async def _blocking_server(world: World, threads: int) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Start one; what it yields asks it a question and reads the answer."""
    environment = {
        **os.environ,
        blocking_server.DATABASE_URL: world.stack.database_url("postgres"),
        blocking_server.MODEL_URL: world.stack.model_url,
        blocking_server.THREADS: str(threads),
    }
    program = str(Path(__file__).with_name("blocking_server.py"))
    process = await asyncio.create_subprocess_exec(
        sys.executable, program, stdout=asyncio.subprocess.PIPE, env=environment
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(20):
            port = int(await process.stdout.readline())
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            method: Any = channel.unary_stream(f"/{blocking_server.SERVICE}/Ask")

            async def ask() -> None:
                pieces = [piece async for piece in method(f"{MODEL}\n{QUESTION}".encode())]
                if not b"".join(pieces).endswith(f" t{TOKENS}".encode()):
                    raise RuntimeError("tokens are missing")

            yield ask
    finally:
        process.terminate()
        await process.wait()
