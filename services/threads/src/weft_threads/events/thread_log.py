"""Reading the logs of threads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
from weft.runs.v1 import thread_event_pb2 as pb
from weft_core.ids import format_id

from weft_threads.events.frames import LoggedEvent, encode_event
from weft_threads.events.log import MAX_BYTES, beyond, fitting
from weft_threads.missing import not_found
from weft_threads.store.database import Database, DriverConnection
from weft_threads.threads.convert import message_to_proto
from weft_threads.threads.thread import Message
from weft_threads.times import timestamp

MAX_EVENTS = 500

READ = "SELECT * FROM read_thread_log($1, $2, $3, $4, $5, $6, $7)"


@dataclass(frozen=True, slots=True)
class ThreadPage:
    """Serialized events without a gap; where the log ends, and whether it will grow. `open_run`: where asked for."""

    events: tuple[bytes, ...]
    last_seq: int
    is_deleted: bool
    open_run: UUID | None


class ThreadLog:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(
        self, tenant_id: UUID, thread_id: UUID, after_seq: int | None, *, with_open_run: bool, serve_deleted: bool
    ) -> ThreadPage:
        """Return events after a seq, up to about a megabyte; None reads only where the log ends.

        Raises:
            NotFoundError: THREAD_NOT_FOUND.
            OutOfRangeError: CURSOR_OUT_OF_RANGE.
        """
        row = await self._database.call(_read, tenant_id, thread_id, after_seq, serve_deleted, with_open_run)
        if row is None:
            raise not_found("thr", thread_id)
        last_seq = row["last_seq"]
        if after_seq is not None and after_seq > last_seq:
            raise beyond(after_seq, last_seq)
        thread = format_id("thr", thread_id)
        events = fitting(encode_thread_event(thread, each) for each in row["events"])
        return ThreadPage(events, last_seq, row["is_deleted"], row["open_run"])

    async def heads(self, keys: Sequence[tuple[UUID, UUID]]) -> list[tuple[UUID, int]]:
        """Return the newest seq of each thread that exists, of (tenant, thread)."""
        if not keys:
            return []
        rows = await self._database.call_queue(_heads, keys)
        return [(row["thread_id"], row["last_seq"]) for row in rows]


def encode_thread_event(thread_id: str, row: Any) -> bytes:
    """Return the serialized ThreadEvent of a `logged_in_thread`."""
    event = pb.ThreadEvent(thread_id=thread_id, seq=row["seq"], create_time=timestamp(row["create_time"]))
    payload = getattr(event, row["type"].replace(".", "_"))
    payload.SetInParent()
    if row["payload"] is not None:
        payload.MergeFromString(row["payload"])
    elif row["message"] is not None:
        payload.message.CopyFrom(message_to_proto(message_of(row["message"])))
    elif row["run_id"] is not None:
        payload.run_id = format_id("run", row["run_id"])
        _mark(payload, row)
    return event.SerializeToString()


def _mark(payload: Any, row: Any) -> None:
    """Fill in what each of the three marks of a run says beside its run."""
    if isinstance(payload, pb.ThreadRunQueued):
        payload.message_id = format_id("msg", row["message_id"])
    elif isinstance(payload, pb.ThreadRunStarted):
        payload.run_seq = row["run_seq"]
    else:
        payload.terminal_event.MergeFromString(encode_event(LoggedEvent(*row["terminal_event"])))


def message_of(row: Any) -> Message:
    return Message(**{name: row[name] for name in Message.__dataclass_fields__})


async def _read(
    connection: DriverConnection,
    tenant_id: UUID,
    thread_id: UUID,
    after_seq: int | None,
    serve_deleted: bool,
    with_open_run: bool,
) -> asyncpg.Record | None:
    return await connection.fetchrow(
        READ, tenant_id, thread_id, after_seq, MAX_EVENTS, MAX_BYTES, serve_deleted, with_open_run
    )


async def _heads(connection: DriverConnection, keys: Sequence[tuple[UUID, UUID]]) -> list[asyncpg.Record]:
    tenants, threads = [tenant for tenant, _ in keys], [thread for _, thread in keys]
    return await connection.fetch("SELECT * FROM thread_heads($1, $2)", tenants, threads)
