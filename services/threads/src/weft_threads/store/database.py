"""Access to PostgreSQL: two pools, one for each role, and work that survives cancellation without harm.

Work is handed over as a function, never as a context manager: it runs in a task of its own that receives at most one
cancellation, so that a call cancelled twice in mid-query leaves no backend busy behind a connection that was given up
(sqlalchemy#12077).
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, Concatenate, ParamSpec, Self, TypeAlias, TypeVar
from uuid import UUID

import asyncpg
import sqlalchemy as sa
from sqlalchemy import PoolProxiedConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.util import greenlet_spawn

from weft_threads.store.errors import UNAVAILABLE, is_transient, translate
from weft_threads.store.pool_telemetry import observe_pools, pool_class

TRANSIENT_TRIES = 5

T = TypeVar("T")
P = ParamSpec("P")
DriverConnection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


async def guarded(work: Coroutine[Any, Any, T]) -> T:
    """Await `work` in a task that is cancelled at most once, and to its end, whatever happens to the caller."""
    task = asyncio.ensure_future(work)
    is_cancelled = False
    while True:
        try:
            result = await asyncio.shield(task)
            break
        except asyncio.CancelledError:
            if task.done():
                raise
            if not is_cancelled:
                is_cancelled = True
                task.cancel()
    if is_cancelled:
        raise asyncio.CancelledError
    return result


class Database:
    """The pools. Every failure comes out as a WeftError or as what the work itself raised."""

    def __init__(self, app: AsyncEngine, queue: AsyncEngine) -> None:
        self._app, self._queue = app, queue

    @classmethod
    async def open(
        cls, stack: AsyncExitStack, app_url: str, queue_url: str, app_connections: int, queue_connections: int
    ) -> Self:
        """Open both pools lazily: no connection is made before the first work."""
        app = engine(app_url, app_connections, "app")
        # All that the queue's role asks goes by keys and partial indexes: one plan serves every argument, and making a
        # plan costs more than running it.
        queue = engine(queue_url, queue_connections, "queue", plan_cache_mode="force_generic_plan")
        stack.push_async_callback(app.dispose)
        stack.push_async_callback(queue.dispose)
        observe_pools({"app": app, "queue": queue})
        return cls(app, queue)

    async def transact(self, tenant_id: UUID, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Run `work` in one transaction as the application's role, bound to a tenant; repeat it on a deadlock.

        Raises:
            UnavailableError: the database cannot be reached; nothing is known to be committed.
        """

        async def once() -> T:
            async with self._app.connect() as connection:
                driver = await _usable(connection)
                try:
                    await driver.execute(f"BEGIN; SET LOCAL weft.tenant = '{tenant_id}'")  # one round trip
                    result = await work(connection)
                    await _commit(driver)
                except BaseException:
                    await _roll_back(connection, driver)
                    raise
                return result

        return await _persistently(once)

    async def call(
        self, function: Callable[Concatenate[DriverConnection, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run one statement that commits by itself, as the application's role: one round trip, no BEGIN."""
        return await _persistently(lambda: _direct(self._app, function, *args, **kwargs))

    async def call_queue(
        self, function: Callable[Concatenate[DriverConnection, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """The same as the queue's role, which sees all tenants and may do little."""
        return await _persistently(lambda: _direct(self._queue, function, *args, **kwargs))


def engine(url: str, connections: int, name: str = "", **server_settings: str) -> AsyncEngine:
    """Return a pool of at most `connections`; who waits longer than 2 s for one is told that the database is away."""
    return create_async_engine(
        sa.make_url(url).set(drivername="postgresql+asyncpg"),
        poolclass=pool_class(name),
        pool_size=connections,
        max_overflow=0,
        pool_timeout=2,
        pool_recycle=1800,
        isolation_level="AUTOCOMMIT",  # `transact` says BEGIN and COMMIT itself
        connect_args={
            "timeout": 5,
            "command_timeout": 30,
            "server_settings": {
                "application_name": "weft-threads",
                "statement_timeout": "20s",
                "lock_timeout": "10s",
                "idle_in_transaction_session_timeout": "30s",
                "client_connection_check_interval": "500ms",  # a query whose caller is gone ends too
                **server_settings,
            },
        },
    )


async def _usable(connection: AsyncConnection) -> DriverConnection:
    """Return the driver's connection, a fresh one if the pooled one was closed under us (a restart of the server)."""
    for _ in range(2):
        driver: DriverConnection | None = (await connection.get_raw_connection()).driver_connection
        if driver is not None and not driver.is_closed():
            return driver
        await connection.invalidate()
    raise ConnectionError("no usable connection")


async def _commit(driver: DriverConnection) -> None:
    if await driver.execute("COMMIT") != "COMMIT":  # of a transaction that has failed, PostgreSQL makes a ROLLBACK
        raise RuntimeError("the work went on after a statement of it had failed")


async def _roll_back(connection: AsyncConnection, driver: DriverConnection) -> None:
    """Leave the connection without a transaction, or leave it for good."""
    try:
        await driver.execute("ROLLBACK")
    except BaseException as error:  # cancelled, it may not even have been sent: the next statement would not commit
        await connection.invalidate()
        if not isinstance(error, Exception):
            raise


async def _direct(
    pool: AsyncEngine,
    function: Callable[Concatenate[DriverConnection, P], Awaitable[T]],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Without SQLAlchemy's Connection, whose opening and closing cost as much as a short statement."""
    lent, driver = await _lent(pool)
    is_broken = False
    try:
        return await function(driver, *args, **kwargs)
    except UNAVAILABLE:
        is_broken = True  # a server that goes away says so before the connection is seen to be closed
        raise
    finally:
        if is_broken or driver.is_closed():  # the pool does not see what happens to the driver's connection
            await greenlet_spawn(lent.invalidate)
        await greenlet_spawn(lent.close)


async def _lent(pool: AsyncEngine) -> tuple[PoolProxiedConnection, DriverConnection]:
    """Return a connection of the pool, and what of it is the driver's; those that were closed under us are renewed."""
    for _ in range(2):
        lent = await pool.raw_connection()
        driver: DriverConnection | None = lent.driver_connection
        if driver is not None and not driver.is_closed():
            return lent, driver
        await greenlet_spawn(lent.invalidate)
        await greenlet_spawn(lent.close)
    raise ConnectionError("no usable connection")


async def _persistently(once: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run once, and again on a deadlock, a serialization failure or an outdated plan: nothing was written then."""
    for attempt in range(1, TRANSIENT_TRIES + 1):
        try:
            return await guarded(once())
        except Exception as error:
            if attempt == TRANSIENT_TRIES or not is_transient(error):
                raise translate(error) from error
            await asyncio.sleep(random.uniform(0, 0.01) * attempt)
    raise AssertionError("unreachable")
