from collections.abc import AsyncIterator

import pytest
from runner_world import World
from weft_testkit.redis_server import RedisServer


@pytest.fixture
async def redis() -> AsyncIterator[RedisServer]:
    async with RedisServer() as server:
        yield server


@pytest.fixture
async def world(redis: RedisServer) -> AsyncIterator[World]:
    async with World.open(redis.url) as world:
        yield world
