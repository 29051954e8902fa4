"""1,000 watchers of one run at 200 tokens a second, and 10,000 of runs that say nothing."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from figures import Figure, Round
from weft.runs.v1 import run_service_pb2
from world import World

LIVE, TOKENS, PACE = 1000, 1000, 200
# The model thinks while the watches open; the lag is counted for deltas only.
LIVE_MODEL = f"scripted:ttft=8,count={TOKENS},tps={PACE},tag=watched"
IDLE, IDLE_RUNS = 10_000, 20
IDLE_MODEL = "scripted:silent=0,tag=idle"
SAMPLED = 20
SETTLED_SECONDS = 3.0
ROUNDS = 2


async def measure(world: World, rounds: int) -> list[Figure]:
    idle = Figure(f"{IDLE:,} idle watches, each", goal=30, unit="KiB")
    refused = Figure("  refused", floor=0, goal=0, unit="")
    lag = Figure(f"{LIVE:,} watchers, {PACE} tokens/s, lag p99", goal=250)
    await _measure_idle(world, idle, refused)
    for _ in range(min(rounds, ROUNDS)):
        await _measure_live(world, lag)
    return [lag, idle, refused]


async def _measure_live(world: World, lag: Figure) -> None:
    run = await world.initiate(await world.make_agent(LIVE_MODEL))
    with world.costing(f"{LIVE:,} watchers of a run", 1):
        async with _watchers(world, LIVE, SAMPLED, [run]) as process:
            seen = json.loads(await process.stdout.readline())
    lags = seen["lags"]
    if seen["refused"] or not lags:
        raise RuntimeError(f"{seen['refused']} watches were refused, {len(lags)} deltas were seen")
    lag.rounds.append(Round([], [lags[len(lags) * 99 // 100]]))


async def _measure_idle(world: World, idle: Figure, refused: Figure) -> None:
    agent = await world.make_agent(IDLE_MODEL)
    runs = [await world.initiate(agent) for _ in range(IDLE_RUNS)]
    await world.model_calls(IDLE_MODEL, ended=0)
    async with _watchers(world, 100, 1, runs):
        before = world.memory()["gateway"]
    async with _watchers(world, IDLE, IDLE, runs) as process:
        await asyncio.sleep(SETTLED_SECONDS)
        held = world.memory()["gateway"] - before
        process.stdin.write(b"\n")
        seen = json.loads(await process.stdout.readline())
    idle.rounds.append(Round([], [held * 1024 / IDLE]))
    refused.rounds.append(Round([], [seen["refused"]]))
    for run in runs:
        request = run_service_pb2.CancelRunRequest(run_id=run)
        await world.api.call(world.api.runs.CancelRun, request)
        await world.ended(run)


@asynccontextmanager
async def _watchers(world: World, count: int, sampled: int, runs: Sequence[str]) -> AsyncIterator[Any]:
    """Start so many watchers, spread over runs; all are open inside."""
    program = str(Path(__file__).with_name("watching.py"))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, program, world.stack.address("gateway"), str(count), str(sampled), *runs),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 26,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(world.api_key.encode() + b"\n")
        async with asyncio.timeout(120):
            if await process.stdout.readline() != b"open\n":
                raise RuntimeError("the watchers could not be opened")
        yield process
    finally:
        if process.returncode is None:
            process.stdin.close()
            await process.communicate()
