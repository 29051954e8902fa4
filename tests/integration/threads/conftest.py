"""A real threads service on real PostgreSQL and Redis, shared by all tests here; each test makes its own tenants."""

from collections.abc import AsyncIterator, Iterator

import pytest
from threads_world import ThreadsWorld
from weft_cli.stack import Stack
from weft_grpckit.tokens import TokenSigner


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    env = {"threads": {"WEFT_STRICT_REASONS": "true"}}
    with Stack(members={"postgres", "redis", "threads"}, postgres_settings={"fsync": "off"}, env=env) as stack:
        yield stack


@pytest.fixture
async def world(stack: Stack) -> AsyncIterator[ThreadsWorld]:
    world = ThreadsWorld(stack.address("threads"), TokenSigner(bytes.fromhex(stack.token_key)))
    yield world
    await world.close()
