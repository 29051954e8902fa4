"""PostgreSQL killed under load: every call says UNAVAILABLE or succeeds, and the pools are whole afterwards."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from runs_world import World
from weft_cli.stack import Stack
from weft_core.errors import UnavailableError


@pytest.mark.timeout(180)
async def test_calls_say_unavailable_and_nothing_else_when_postgres_is_killed(world: World, postgres: Stack) -> None:
    made = await world.say("before")
    outcomes: Counter[str] = Counter()
    is_over = asyncio.Event()

    async def hammer(call: Callable[[], Awaitable[object]]) -> None:
        while not is_over.is_set():
            try:
                await call()
                outcomes["ok"] += 1
            except UnavailableError:
                outcomes["unavailable"] += 1
                await asyncio.sleep(0.005)

    async with asyncio.TaskGroup() as group:
        for _ in range(6):
            group.create_task(hammer(lambda: world.say("again")))
        for _ in range(4):
            group.create_task(hammer(lambda: world.log.read(world.tenant, made.run_id, 0, serve_deleted=False)))
        for _ in range(3):
            await asyncio.sleep(0.5)
            await asyncio.to_thread(postgres.kill, "postgres")
            await asyncio.sleep(0.2)
            await asyncio.to_thread(postgres.start, "postgres")
        is_over.set()
    assert outcomes["ok"] > 0
    assert outcomes["unavailable"] > 0
    for _ in range(20):
        await world.say("after")
