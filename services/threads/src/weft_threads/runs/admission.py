"""Admission: a message comes in, and with it the run that answers it."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import asyncpg
from weft.runs.v1 import event_pb2
from weft.threads.v1 import message_pb2
from weft_core.caller import Caller
from weft_core.ids import format_id
from weft_core.text import storable
from weft_telemetry.tracing import current_traceparent

from weft_threads.attachments.attachment import NewFile
from weft_threads.attachments.parts import pending_part
from weft_threads.events.frames import LoggedEvent, logged_events
from weft_threads.runs.announce import Announcer
from weft_threads.store.database import Database, DriverConnection

TITLE_CHARACTERS = 80
DIGEST_VERSION = b"initiate/1"

INITIATE = "SELECT * FROM initiate_run($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"


@dataclass(frozen=True, slots=True)
class Initiation:
    """What a caller asks for. None: the default, or a new one. `strategy`: enqueue, merge, reject."""

    text: str
    thread_id: UUID | None = None
    agent_id: UUID | None = None
    project_id: UUID | None = None
    request_id: str | None = None
    strategy: str | None = None
    files: tuple[NewFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Initiated:
    """What was made, or had been made by the same request before."""

    project_id: UUID
    thread_id: UUID
    run_id: UUID
    message_id: UUID
    agent_id: UUID
    queue_position: int
    is_merged: bool
    # Of this call, not of what was made.
    is_new: bool = field(compare=False)
    queued_time: datetime = field(compare=False)

    def first_event(self, tenant_id: UUID) -> LoggedEvent | None:
        """Return the run's event of seq 1 as initiate_run wrote it; None when an earlier call did."""
        if not self.is_new:
            return None
        payload = _queued(self.thread_id, self.message_id)
        return LoggedEvent(tenant_id, self.run_id, 1, 0, "run.queued", False, self.queued_time, payload, self.thread_id)


class Admission:
    def __init__(self, database: Database, announcer: Announcer, new_id: Callable[[], UUID]) -> None:
        self._database, self._announcer, self._new_id = database, announcer, new_id

    async def initiate(self, caller: Caller, asked: Initiation) -> Initiated:
        """Store a message and its run: one round trip, one commit. What others must know is told afterwards."""
        row = await self._database.call(_initiate, caller, asked, self._new_id)
        self._announcer.events(logged_events(row["events"]))
        if row["is_new"]:
            self._announcer.thread(row["thread_id"])
        self._announcer.stop(row["owner"], row["stopped"], row["stopped_epoch"])
        self._announcer.ready(int(row["is_ready"]))
        return Initiated(**{name: row[name] for name in Initiated.__slots__})


async def _initiate(
    connection: DriverConnection, caller: Caller, asked: Initiation, new_id: Callable[[], UUID]
) -> asyncpg.Record:
    text = storable(asked.text)
    new_thread, run, message = new_id(), new_id(), new_id()
    files = [(new_id(), file) for file in asked.files]
    parts = [message_pb2.Part(text=text), *(pending_part(file_id, file) for file_id, file in files)]
    content = message_pb2.MessageContent(parts=parts)
    row = await connection.fetchrow(
        INITIATE,
        caller.tenant_id,
        caller.principal,
        asked.request_id,
        request_digest(asked),
        asked.thread_id,
        new_thread,
        asked.agent_id,
        asked.project_id,
        asked.strategy,
        run,
        message,
        content.SerializeToString(),
        title_of(text),
        _queued(asked.thread_id or new_thread, message),
        current_traceparent() or None,
        [(file_id, file.name, file.sha256, file.content) for file_id, file in files] or None,
    )
    assert row is not None
    return row


def _queued(thread_id: UUID, message_id: UUID) -> bytes:
    queued = event_pb2.RunQueued(thread_id=format_id("thr", thread_id), message_id=format_id("msg", message_id))
    return queued.SerializeToString()


def request_digest(asked: Initiation) -> bytes:
    """Return what tells whether a repeated `request_id` asks for the same: named fields, so that contracts may grow."""
    fields = {
        "text": asked.text,
        "thread": asked.thread_id,
        "agent": asked.agent_id,
        "project": asked.project_id,
        "strategy": asked.strategy,
        **_file_fields(asked.files),
    }
    digest = hashlib.sha256(DIGEST_VERSION)
    for name, value in fields.items():
        if value is not None:
            data = str(value).encode("utf-8", "surrogatepass")
            digest.update(f"\n{name} {len(data)} ".encode() + data)
    return digest.digest()


def _file_fields(files: tuple[NewFile, ...]) -> Mapping[str, str]:
    return {
        f"file {number} {name}": value
        for number, file in enumerate(files)
        for name, value in (("name", file.name), ("type", file.media_type), ("sha256", file.sha256.hex()))
    }


def title_of(text: str) -> str:
    """Return the first words, on one line."""
    words = " ".join(text.split())
    return words if len(words) <= TITLE_CHARACTERS else words[: TITLE_CHARACTERS - 1].rstrip() + "…"
