"""One stack for the folder, whose only runner is the test; two tenants, and a third party without rights."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from every_rpc.intruders import Intruders
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
    return await world.make_estate("owner-of-secrets")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stranger(world: World) -> Estate:
    return await world.make_estate("stranger")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def intruders(world: World, owner: Estate) -> Intruders:
    return await Intruders.prepare(world, owner)
