"""D4: 200 callers at once, each from its question to its whole answer, against a server whose threads block."""

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

CALLERS = 200
MODEL = "scripted:ttft=0.2,count=50,tps=50,tag=blocking"
QUESTION = "Hello there"
ROUNDS = 3


async def measure(world: World, rounds: int) -> list[Figure]:
    agent = await world.make_agent(MODEL)
    figure = Figure(f"{CALLERS} callers at once, mean, to a blocking server", floor=0.7, goal=0.5, unit="s")
    async with _blocking_server(world) as ask:

        async def blocking() -> None:
            pieces = [piece async for piece in ask(f"{MODEL}\n{QUESTION}".encode())]
            if not b"".join(pieces).endswith(b" t50"):
                raise RuntimeError("tokens are missing")

        async def weft() -> None:
            if not require_success(await world.run(agent, QUESTION)).text.endswith(" t50"):
                raise RuntimeError("tokens are missing")

        for _ in range(min(rounds, ROUNDS)):
            baseline = await _together(blocking)
            with world.costing(f"{CALLERS} callers at once, 50 tokens", CALLERS):
                ours = await _together(weft)
            figure.rounds.append(Round([baseline], [ours]))
    return [figure]


async def _together(ask: Callable[[], Awaitable[None]]) -> float:
    """Return how many seconds a caller of many waits, on average."""

    async def timed() -> float:
        begun = perf_counter()
        await ask()
        return perf_counter() - begun

    return mean(await asyncio.gather(*(timed() for _ in range(CALLERS))))


@asynccontextmanager
async def _blocking_server(world: World) -> AsyncIterator[Any]:
    environment = {
        **os.environ,
        blocking_server.DATABASE_URL: world.stack.database_url("postgres"),
        blocking_server.MODEL_URL: world.stack.model_url,
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
            yield channel.unary_stream(f"/{blocking_server.SERVICE}/Ask")
    finally:
        process.terminate()
        await process.wait()
