"""Runs with two model calls and one tool call between them, against the same loop written around the openai client."""

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter

import direct
from figures import Figure, Round, in_turn
from world import World, require_success

MODEL = "scripted:tools=1,tool=search_documents,tag=tool-run"
COUNT = 15
AT_ONCE, RUNS = 50, 150
MANY = 200


async def measure(world: World, rounds: int) -> list[Figure]:
    agent = await world.make_agent(MODEL, "search_documents")

    async def weft() -> None:
        require_success(await world.run(agent))

    async def baseline() -> None:
        await direct.tool_run(world, MODEL)

    alone = Figure("tool run, one after another")
    many = Figure(f"tool runs, {AT_ONCE} at once", floor=0.5, goal=1.0, unit="runs/s", more_is_better=True)
    failed = Figure(f"tool runs, {MANY} at once, errors", floor=0, goal=0, unit="")
    await in_turn(_timed(baseline), _timed(weft), COUNT)
    for _ in range(rounds):
        alone.rounds.append(await in_turn(_timed(baseline), _timed(weft), COUNT))
        loop = await _per_second(baseline)
        with world.costing(f"tool run, {AT_ONCE} at once", RUNS):
            ours = await _per_second(weft)
        many.rounds.append(Round([loop], [ours]))
    ends = await asyncio.gather(*(weft() for _ in range(MANY)), return_exceptions=True)
    failed.rounds.append(Round([], [sum(isinstance(end, Exception) for end in ends)]))
    return [alone, many, failed]


def _timed(work: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[float]]:
    async def timed() -> float:
        begun = perf_counter()
        await work()
        return (perf_counter() - begun) * 1e3

    return timed


async def _per_second(work: Callable[[], Awaitable[None]]) -> float:
    left = iter(range(RUNS))

    async def worker() -> None:
        for _ in left:
            await work()

    begun = perf_counter()
    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    return RUNS / (perf_counter() - begun)
