"""What a transaction leaves behind of itself, whenever it is cut off: nothing."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import pytest
from runs_world import World
from sqlalchemy.ext.asyncio import AsyncConnection
from weft_cli.stack import Stack
from weft_threads.store.database import Database


async def _is_in_transaction(connection: Any) -> bool:
    return bool(connection.is_in_transaction())


async def test_call_that_leaves_while_it_is_rolled_back_leaves_no_open_transaction(
    world: World, postgres: Stack
) -> None:
    """The driver still waits for the end of a query that took too long, so the ROLLBACK has not been sent yet."""
    async with AsyncExitStack() as stack:
        url = postgres.database_url("weft_app")
        database = await Database.open(stack, url, url, app_connections=1, queue_connections=1)

        async def work(connection: AsyncConnection) -> None:
            driver: asyncpg.Connection | None = (await connection.get_raw_connection()).driver_connection
            assert driver is not None
            try:
                await driver.execute("SELECT pg_sleep(30)", timeout=0.05)
            except TimeoutError:
                caller.cancel()
                raise

        caller = asyncio.create_task(database.transact(world.tenant, work))
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert not await database.call(_is_in_transaction)
