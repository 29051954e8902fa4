"""How runs end from outside: cancelled by id or by request, or deleted with their thread."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from weft_core.errors import NotFoundError

from weft_threads.events.frames import LoggedEvent, logged_events
from weft_threads.runs.announce import Announcer
from weft_threads.runs.force_end import force_end
from weft_threads.store.database import Database, DriverConnection


@dataclass(frozen=True, slots=True)
class CancelledRequest:
    """What a cancel by `request_id` found. No run: the request that comes will be refused."""

    run_id: UUID | None


class Ending:
    def __init__(self, database: Database, announcer: Announcer) -> None:
        self._database, self._announcer = database, announcer

    async def cancel(self, tenant_id: UUID, run_id: UUID) -> None:
        """Ask a run to stop. It has ended, or its runner was told, when this returns.

        Raises:
            NotFoundError: RUN_NOT_FOUND.
        """
        row = await self._database.call(_cancel_run, tenant_id, run_id)
        if not row["is_found"]:
            raise run_not_found()
        self._announcer.events(logged_events(row["events"]))
        self._announcer.ready(int(row["is_ready"]))
        if row["epoch"] is not None:
            self._announcer.stop(row["owner"], run_id, row["epoch"])

    async def cancel_request(self, tenant_id: UUID, request_id: str) -> CancelledRequest:
        """Cancel the run of a request, or see to it that none comes of it."""
        row = await self._database.call(_cancel_request, tenant_id, request_id)
        if row["run_id"] is not None:
            await self.cancel(tenant_id, row["run_id"])
        return CancelledRequest(row["run_id"])


def run_not_found() -> NotFoundError:
    return NotFoundError("RUN_NOT_FOUND", "no such run; RunService.ListRuns shows those that exist")


async def _cancel_run(connection: DriverConnection, tenant_id: UUID, run_id: UUID) -> asyncpg.Record:
    row = await connection.fetchrow("SELECT * FROM cancel_run($1, $2)", tenant_id, run_id)
    assert row is not None
    return row


async def _cancel_request(connection: DriverConnection, tenant_id: UUID, request_id: str) -> asyncpg.Record:
    row = await connection.fetchrow("SELECT * FROM cancel_request($1, $2)", tenant_id, request_id)
    assert row is not None
    return row


LOCK_THREAD = sa.text("""
  SELECT thread_id FROM threads WHERE tenant_id = :tenant AND thread_id = :thread AND delete_time IS NULL
  FOR NO KEY UPDATE
""")
OPEN_RUNS = sa.text("""
  SELECT run_id, owner, epoch FROM runs WHERE tenant_id = :tenant AND thread_id = :thread
    AND state IN ('queued', 'running', 'waiting') ORDER BY run_id FOR NO KEY UPDATE
""")
MARK_DELETED = sa.text("""
  UPDATE threads SET delete_time = weft_now(), update_time = weft_now()
  WHERE tenant_id = :tenant AND thread_id = :thread
""")
LOG_DELETED = sa.text("SELECT write_thread_event(:tenant, :thread, 'thread.deleted')")
COUNT_DOWN = sa.text("""
  UPDATE thread_counts SET threads = threads - 1
  WHERE tenant_id = :tenant AND shard = get_byte(uuid_send(:thread), 15) % 8
""")


async def delete_thread(database: Database, announcer: Announcer, tenant_id: UUID, thread_id: UUID) -> None:
    """Delete a thread: its runs end in the same transaction, and watchers are sent their terminal events.

    Raises:
        NotFoundError: THREAD_NOT_FOUND.
    """

    async def work(connection: AsyncConnection) -> tuple[list[LoggedEvent], list[Any]]:
        keys = {"tenant": tenant_id, "thread": thread_id}
        if (await connection.execute(LOCK_THREAD, keys)).first() is None:
            raise NotFoundError("THREAD_NOT_FOUND", "no such thread; ThreadService.ListThreads shows those that exist")
        runs = list((await connection.execute(OPEN_RUNS, keys)).all())
        await connection.execute(MARK_DELETED, keys)
        events: list[LoggedEvent] = []
        for run in runs:
            events += await force_end(connection, tenant_id, run.run_id, "cancelled", b"")
        await connection.execute(LOG_DELETED, keys)
        await connection.execute(COUNT_DOWN, keys)
        return events, runs

    events, runs = await database.transact(tenant_id, work)
    announcer.events(events)
    announcer.thread(thread_id)
    for run in runs:
        if run.owner is not None:
            announcer.stop(run.owner, run.run_id, run.epoch)
