"""Reading the log of runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from weft_core.errors import NotFoundError, OutOfRangeError

from weft_threads.events.frames import LoggedEvent, encode_event
from weft_threads.store.database import Database, DriverConnection

MAX_EVENTS = 2000
MAX_BYTES = 1 << 20

HEAD = sa.text("""
  SELECT r.last_seq, r.end_time IS NOT NULL AS is_ended FROM runs r
    JOIN threads t ON t.tenant_id = r.tenant_id AND t.thread_id = r.thread_id
  WHERE r.tenant_id = :tenant AND r.run_id = :run AND (t.delete_time IS NULL OR :serve_deleted)
""")
EVENTS = sa.text("""
  SELECT tenant_id, run_id, seq, epoch, type, is_terminal, create_time, payload FROM run_events
  WHERE tenant_id = :tenant AND run_id = :run AND seq > :after AND seq <= :last ORDER BY seq LIMIT :limit
""")


@dataclass(frozen=True, slots=True)
class LogPage:
    """Serialized events without a gap; where the log ends, and whether it will grow."""

    events: tuple[bytes, ...]
    last_seq: int
    is_ended: bool


class RunLog:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, tenant_id: UUID, run_id: UUID, after_seq: int, serve_deleted: bool) -> LogPage:
        """Return events after a seq, up to about a megabyte.

        Raises:
            NotFoundError: RUN_NOT_FOUND.
            OutOfRangeError: CURSOR_OUT_OF_RANGE.
        """

        async def work(connection: AsyncConnection) -> LogPage:
            keys = {"tenant": tenant_id, "run": run_id}
            head = (await connection.execute(HEAD, {**keys, "serve_deleted": serve_deleted})).one_or_none()
            if head is None:
                raise NotFoundError("RUN_NOT_FOUND", "no such run; RunService.ListRuns shows those that exist")
            if after_seq > head.last_seq:
                raise OutOfRangeError(
                    "CURSOR_OUT_OF_RANGE",
                    f"after_seq {after_seq} lies beyond the newest event, {head.last_seq}",
                    metadata={"last_seq": str(head.last_seq)},
                )
            span = {**keys, "after": after_seq, "last": head.last_seq, "limit": MAX_EVENTS}
            rows = (await connection.execute(EVENTS, span)).all() if after_seq < head.last_seq else ()
            return LogPage(_encoded([LoggedEvent(*row) for row in rows]), head.last_seq, head.is_ended)

        return await self._database.transact(tenant_id, work)

    async def heads(self, keys: Sequence[tuple[UUID, UUID]]) -> list[tuple[UUID, int]]:
        """Return the newest seq of each run that exists, of (tenant, run)."""
        rows = await self._database.call_queue(_heads, keys)
        return [(row["run_id"], row["last_seq"]) for row in rows]


def _encoded(events: Sequence[LoggedEvent]) -> tuple[bytes, ...]:
    """Return as many serialized events as fit into a page, at least one."""
    out: list[bytes] = []
    size = 0
    for event in events:
        data = encode_event(event)
        size += len(data)
        if out and size > MAX_BYTES:
            break
        out.append(data)
    return tuple(out)


async def _heads(connection: DriverConnection, keys: Sequence[tuple[UUID, UUID]]) -> list[asyncpg.Record]:
    tenants, runs = [tenant for tenant, _ in keys], [run for _, run in keys]
    return await connection.fetch("SELECT * FROM run_heads($1, $2)", tenants, runs)
