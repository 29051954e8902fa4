"""Reading the log of runs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from weft_core.errors import NotFoundError, OutOfRangeError

from weft_threads.events.frames import encode_event, logged_events
from weft_threads.store.database import Database, DriverConnection

MAX_EVENTS = 2000
MAX_BYTES = 1 << 20

READ = "SELECT * FROM read_run_log($1, $2, $3, $4, $5, $6)"


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
        row = await self._database.call(_read, tenant_id, run_id, after_seq, serve_deleted)
        if row is None:
            raise NotFoundError("RUN_NOT_FOUND", "no such run; RunService.ListRuns shows those that exist")
        last_seq = row["last_seq"]
        if after_seq > last_seq:
            raise beyond(after_seq, last_seq)
        events = fitting(encode_event(event) for event in logged_events(row["events"]))
        return LogPage(events, last_seq, row["is_ended"])

    async def heads(self, keys: Sequence[tuple[UUID, UUID]]) -> list[tuple[UUID, int]]:
        """Return the newest seq of each run that exists, of (tenant, run)."""
        if not keys:
            return []
        rows = await self._database.call_queue(_heads, keys)
        return [(row["run_id"], row["last_seq"]) for row in rows]


def beyond(after_seq: int, last_seq: int) -> OutOfRangeError:
    return OutOfRangeError(
        "CURSOR_OUT_OF_RANGE",
        f"after_seq {after_seq} lies beyond the newest event, {last_seq}",
        metadata={"last_seq": str(last_seq)},
    )


def fitting(events: Iterable[bytes]) -> tuple[bytes, ...]:
    """Return as many serialized events as fit into a page, at least one."""
    out: list[bytes] = []
    size = 0
    for data in events:
        size += len(data)
        if out and size > MAX_BYTES:
            break
        out.append(data)
    return tuple(out)


async def _read(
    connection: DriverConnection, tenant_id: UUID, run_id: UUID, after_seq: int, serve_deleted: bool
) -> asyncpg.Record | None:
    return await connection.fetchrow(READ, tenant_id, run_id, after_seq, MAX_EVENTS, MAX_BYTES, serve_deleted)


async def _heads(connection: DriverConnection, keys: Sequence[tuple[UUID, UUID]]) -> list[asyncpg.Record]:
    tenants, runs = [tenant for tenant, _ in keys], [run for _, run in keys]
    return await connection.fetch("SELECT * FROM run_heads($1, $2)", tenants, runs)
