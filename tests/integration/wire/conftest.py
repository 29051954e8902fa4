from collections.abc import AsyncIterator

import pytest
from weft_testkit.redis_server import RedisServer


@pytest.fixture
async def redis() -> AsyncIterator[RedisServer]:
    async with RedisServer() as server:
        yield server
