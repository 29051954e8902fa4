"""The reaper: a loop in every replica of threads that does what time demands. Any one of them is enough."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from weft.runs.v1 import event_pb2
from weft_core.errors import WeftError

from weft_threads.events.frames import LoggedEvent
from weft_threads.runs.announce import Announcer
from weft_threads.runs.force_end import force_end
from weft_threads.store.database import Database, DriverConnection

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 0.25
PURGE_SECONDS = 60.0
BATCH = 100
STOP_GRACE = timedelta(seconds=2)  # how long a runner has to stop a run before it is ended over its head

CAUSES: Mapping[str, event_pb2.TimeoutCause.ValueType] = {
    "queued": event_pb2.TIMEOUT_CAUSE_QUEUE,
    "running": event_pb2.TIMEOUT_CAUSE_RUN,
    "waiting": event_pb2.TIMEOUT_CAUSE_WAIT,
}

LOCK_THREAD = sa.text("SELECT FROM threads WHERE tenant_id = :tenant AND thread_id = :thread FOR NO KEY UPDATE")
# Looks again under the lock: another replica may have done it.
IS_STILL_DUE = sa.text("""
  SELECT state FROM runs WHERE tenant_id = :tenant AND run_id = :run AND state = :state
    AND (deadline_time < weft_now() OR (cancel_time IS NOT NULL AND owner IS NULL)
      OR cancel_time < weft_now() - CAST(:grace AS interval)) FOR NO KEY UPDATE
""")
SET_HEAD = sa.text("SELECT set_head(:tenant, :thread)")
WAKE = sa.text("SELECT wake_run(:tenant, :thread, :run)")


class Reaper:
    def __init__(self, database: Database, announcer: Announcer, lease: timedelta) -> None:
        self._database, self._announcer, self._lease = database, announcer, lease

    async def run(self) -> None:
        """Reap until cancelled. The stamp has a task of its own: slow work must not look like an outage."""
        async with asyncio.TaskGroup() as group:
            group.create_task(_repeatedly(self.stamp, INTERVAL_SECONDS))
            group.create_task(_repeatedly(self.reap, INTERVAL_SECONDS))
            group.create_task(_repeatedly(self._purge, PURGE_SECONDS))

    async def stamp(self) -> None:
        """Say that somebody looks after the leases."""
        await self._database.call_queue(_fetchval, "SELECT stamp_reaper($1)", self._lease)

    async def reap(self) -> None:
        """Do what is due, and ring for what could be claimed. What fails does not hold up the rest."""
        for row in await self._database.call_queue(_due, STOP_GRACE):
            try:
                await (self._wake(row) if row["duty"] == "wake" else self._end(row))
            except Exception:
                log.exception("reaping %s failed, will be repeated", row["run_id"])
        self._announcer.ready(await self._database.call_queue(_fetchval, "SELECT claimable_runs($1)", BATCH))

    async def _purge(self) -> None:
        await self._database.call_queue(_fetchval, "SELECT purge($1)", BATCH * 10)

    async def _wake(self, row: asyncpg.Record) -> None:
        async def work(connection: AsyncConnection) -> bool:
            return bool((await connection.execute(WAKE, _keys(row))).scalar_one())

        self._announcer.ready(int(await self._database.transact(row["tenant_id"], work)))

    async def _end(self, row: asyncpg.Record) -> None:
        payload = event_pb2.RunTimedOut(cause=CAUSES[row["state"]]).SerializeToString()

        async def work(connection: AsyncConnection) -> tuple[list[LoggedEvent], bool]:
            keys = _keys(row)
            await connection.execute(LOCK_THREAD, keys)
            still = {**keys, "state": row["state"], "grace": STOP_GRACE}
            if (await connection.execute(IS_STILL_DUE, still)).first() is None:
                return [], False
            events = await force_end(connection, row["tenant_id"], row["run_id"], "timed_out", payload)
            return events, bool((await connection.execute(SET_HEAD, keys)).scalar_one())

        events, is_ready = await self._database.transact(row["tenant_id"], work)
        self._announcer.events(events)
        self._announcer.ready(int(is_ready))


def _keys(row: asyncpg.Record) -> dict[str, UUID]:
    return {"tenant": row["tenant_id"], "thread": row["thread_id"], "run": row["run_id"]}


async def _repeatedly(work: Callable[[], Awaitable[None]], seconds: float) -> None:
    """Do the work again and again. A failing round is logged and repeated: the database may be away."""
    while True:
        try:
            await work()
        except WeftError as error:
            log.warning("%s failed, will be repeated: %s", work.__name__, error)
        except Exception:
            log.exception("%s failed, will be repeated", work.__name__)
        await asyncio.sleep(seconds)


async def _due(connection: DriverConnection, grace: timedelta) -> list[asyncpg.Record]:
    return await connection.fetch("SELECT * FROM due_runs($1, $2)", grace, BATCH)


async def _fetchval(connection: DriverConnection, sql: str, *args: object) -> Any:
    return await connection.fetchval(sql, *args)
