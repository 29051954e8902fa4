"""200 initiates at once, on 200 threads and on 10, through two gateways and two threads, Redis killed in mid-run."""

import asyncio
import random
from collections import defaultdict

import pytest
from faults_world import FaultWorld
from public_api import type_of
from weft.runs.v1 import run_pb2

CALLERS = 200


@pytest.mark.row("D2", "G1")
@pytest.mark.timeout(240)
@pytest.mark.parametrize("threads", [200, 10])
async def test_two_hundred_initiates_at_once_end_as_they_should(world: FaultWorld, threads: int) -> None:
    random.seed(threads)
    agent = await world.api.make_agent(
        "scripted:tps=50,count=20,ttft=0.05", busy_strategy=run_pb2.BUSY_STRATEGY_ENQUEUE
    )
    seeds = [await world.api.initiate("seed", agent_id=agent) for _ in range(threads)] if threads < CALLERS else []
    known = [each.thread_id for each in seeds]

    async def call(number: int) -> tuple[str, str]:
        where = {"thread_id": known[number % threads]} if known else {}
        made = await world.api.initiate(f"question {number}", agent_id=agent, **where)
        return made.thread_id, made.run_id

    made = await asyncio.gather(*(call(number) for number in range(CALLERS)))
    watching = [asyncio.create_task(world.api.events(run, drop_chance=0.1, seconds=200)) for _, run in made]
    await asyncio.sleep(0.5)
    await world.kill("redis")
    await asyncio.sleep(1)
    await world.start("redis")
    for events in await asyncio.gather(*watching):
        assert type_of(events[-1]) == "run_succeeded"
    by_thread: dict[str, list[run_pb2.Run]] = defaultdict(list)
    for thread, run in made:
        by_thread[thread].append(await world.api.get_run(run))
    assert len(by_thread) == threads
    for runs in by_thread.values():
        ordered = sorted(runs, key=lambda run: run.turn)
        starts = [run.start_time.ToNanoseconds() for run in ordered]
        assert starts == sorted(starts), "turn order"
