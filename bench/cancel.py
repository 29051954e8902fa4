"""CancelRun of a run whose model is silent: until its watch has ended, and until the model's socket is closed.

The baseline is what the way of a cancel cannot do without: three calls (gateway, threads, commit) and two commits.
"""

import asyncio
import time
from dataclasses import dataclass
from time import perf_counter

from figures import Figure, Round
from weft.runs.v1 import run_service_pb2
from world import World, first_delta

COUNT = 10


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Milliseconds from the call of CancelRun."""

    watch_ended: float
    socket_closed: float


async def measure(world: World, rounds: int) -> list[Figure]:
    ended = Figure("cancel → watch ended", floor=6)
    closed = Figure("cancel → model's socket closed", floor=6)
    for number in range(rounds):
        model = f"scripted:silent=3,tag=cancel{number}"
        agent = await world.make_agent(model)
        baseline: list[float] = []
        taken: list[Cancelled] = []
        for count in range(1, COUNT + 1):
            baseline.append(await _baseline(world))
            taken.append(await _cancel(world, agent, model, count))
        ended.rounds.append(Round(baseline, [each.watch_ended for each in taken]))
        closed.rounds.append(Round(baseline, [each.socket_closed for each in taken]))
    return [ended, closed]


async def _baseline(world: World) -> float:
    begun = perf_counter()
    await world.baseline.bare()
    await world.baseline.commit()
    await world.baseline.commit()
    return (perf_counter() - begun) * 1e3


async def _cancel(world: World, agent: str, model: str, count: int) -> Cancelled:
    run_id = await world.initiate(agent)
    watch = world.watch(run_id)
    await first_delta(watch)
    await asyncio.sleep(0.1)  # the deltas are written, the model is silent, nothing is under way

    async def end() -> float:
        async for _ in watch:
            pass
        return perf_counter()

    ending = asyncio.create_task(end())
    begun_at, begun = time.time(), perf_counter()
    request = run_service_pb2.CancelRunRequest(run_id=run_id)
    await world.api.call(world.api.runs.CancelRun, request)
    async with asyncio.timeout(10):
        watch_ended = (await ending - begun) * 1e3
    calls = await world.model_calls(model, ended=count)
    return Cancelled(watch_ended, (calls[-1]["client_closed_time"] - begun_at) * 1e3)
