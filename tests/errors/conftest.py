"""One stack for the folder, whose only runner is the test, with strict reasons everywhere."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from every_rpc.servers import Ahead, open_ahead
from every_rpc.world import ENV, MEMBERS, Estate, World, open_world
from weft_cli.stack import Stack


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    with Stack(members=MEMBERS, env=ENV, postgres_settings={"fsync": "off"}) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def world(stack: Stack) -> AsyncIterator[World]:
    async with open_world(stack) as opened:
        yield opened


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def owner(world: World) -> Estate:
    return await world.make_estate("owner")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def ahead(stack: Stack) -> AsyncIterator[Ahead]:
    async with open_ahead(stack) as opened:
        yield opened
