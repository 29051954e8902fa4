"""What is told of the pools: their connections, and how long work waits for one."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import PoolProxiedConnection
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import AsyncAdaptedQueuePool
from weft_telemetry import names, state
from weft_telemetry.metrics import observe, recorder


def pool_class(name: str) -> type[AsyncAdaptedQueuePool]:
    """Return SQLAlchemy's own pool, or one that tells how long it is waited for where metrics are on."""
    if state.installed().meter is None:
        return AsyncAdaptedQueuePool
    record = recorder(names.POOL_WAIT)

    class WatchedPool(AsyncAdaptedQueuePool):
        def connect(self) -> PoolProxiedConnection:
            began = time.perf_counter()
            try:
                return super().connect()
            finally:
                record(time.perf_counter() - began, name)

    return WatchedPool


def observe_pools(engines: Mapping[str, AsyncEngine]) -> None:
    observe(names.POOL_CONNECTIONS, lambda: _connections(engines))
    observe(names.POOL_SIZE, lambda: [(_pool(engine).size(), (name,)) for name, engine in engines.items()])


def _connections(engines: Mapping[str, AsyncEngine]) -> Iterable[tuple[float, tuple[str, ...]]]:
    for name, engine in engines.items():
        pool = _pool(engine)
        yield pool.checkedout(), (name, "used")
        yield pool.checkedin(), (name, "idle")


def _pool(engine: AsyncEngine) -> Any:
    return engine.sync_engine.pool
