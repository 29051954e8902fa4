"""Runs on a real PostgreSQL, without the network: the use cases of threads with wires that only remember."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import asyncpg
import pytest
from runs_world import World, superuser_url
from weft_cli.stack import Stack


@pytest.fixture(scope="session")
def postgres() -> Iterator[Stack]:
    with Stack(members={"postgres"}, postgres_settings={"fsync": "off"}) as stack:
        stack.migrate()
        yield stack


@pytest.fixture
async def world(postgres: Stack) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        yield await World.open(stack, postgres)
        connection = await asyncpg.connect(superuser_url(postgres))
        try:
            await connection.execute("TRUNCATE tenants, runners, run_events CASCADE")
        finally:
            await connection.close()
        await asyncio.sleep(0)
