"""A thread in two tabs while Redis is emptied and killed and gateways die: both see its log."""

import asyncio
import random

import pytest
from faults_world import FaultWorld
from redis.asyncio import Redis
from thread_story import Story, Tab, a_seed, thread_events

pytestmark = pytest.mark.timeout(240)


class Misfortunes:
    """One after the other, each time that the story gives it a chance."""

    def __init__(self, world: FaultWorld) -> None:
        self.world = world
        self._next = iter([self.empty_redis, self.kill_gateway, self.kill_redis, self.kill_other_gateway])

    async def strike(self) -> None:
        await next(self._next)()

    async def empty_redis(self) -> None:
        async with Redis.from_url(self.world.stack.redis_url) as client:
            await client.flushall()

    async def kill_redis(self) -> None:
        await self.world.kill("redis")
        await self.world.start("redis")

    async def kill_gateway(self) -> None:
        await self.world.kill("gateway")
        await self.world.start("gateway")

    async def kill_other_gateway(self) -> None:
        await self.world.kill("gateway-2")
        await self.world.start("gateway-2")


@pytest.mark.row("B5")
async def test_two_tabs_see_the_whole_log_whatever_breaks(world: FaultWorld) -> None:
    rng = a_seed()
    story = await Story.begin(world.api)
    tabs = [Tab(world.api, story.thread_id, random.Random(rng.random()), drop_chance=0.02) for _ in range(2)]
    async with asyncio.timeout(200), asyncio.TaskGroup() as group:
        for tab in tabs:
            group.create_task(tab.watch())
        await story.five_runs_and_more(Misfortunes(world).strike)
        await story.end(tabs)
    for tab in tabs:
        world.api.recordings.watched_thread(story.thread_id, tab.items)
    first, second = (thread_events(tab) for tab in tabs)
    assert first == second
    kinds = [event.WhichOneof("payload") for event in first]
    assert kinds.count("run_queued") == kinds.count("run_ended") == len(story.runs)
    assert all(tab.reconnects for tab in tabs)
