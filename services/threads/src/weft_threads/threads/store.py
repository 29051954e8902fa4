"""Threads and messages in PostgreSQL."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from weft_threads.missing import not_found, tenant_gone
from weft_threads.store.tables import NOW, TENANT, messages, tenants, thread_counts, threads
from weft_threads.threads.thread import Message, NewThread, Place, Thread, ThreadFilter

# By partial indexes on runs whose predicates are these very words; a parameter in their place would not prove them.
_AGENT_STATE: sa.ColumnElement[str] = sa.literal_column(
    "coalesce((SELECT r.state FROM runs r WHERE r.tenant_id = threads.tenant_id AND r.thread_id = threads.thread_id "
    "AND r.state IN ('running', 'waiting')), (SELECT r.state FROM runs r WHERE r.tenant_id = threads.tenant_id "
    "AND r.thread_id = threads.thread_id AND r.state = 'queued' LIMIT 1), 'idle')"
)
_STORED = tuple(name for name in Thread.__dataclass_fields__ if name != "agent_state")
_COLUMNS = (*(threads.c[name] for name in _STORED), _AGENT_STATE.label("agent_state"))
_THREADS = sa.select(*_COLUMNS).where(threads.c.delete_time.is_(None))
_MESSAGE_COLUMNS = tuple(messages.c[name] for name in Message.__dataclass_fields__)
_PLACE = sa.tuple_(messages.c.turn, messages.c.index)
_LOG = sa.text("SELECT write_thread_event(current_tenant(), :thread, :type, NULL, :message, NULL, :payload)")

# As the schema's initiate_run spreads them.
SHARDS = 8


async def insert_thread(tx: AsyncConnection, thread_id: UUID, new: NewThread, principal: str) -> Thread:
    """Insert a thread; `new` names its project and agent."""
    statement = sa.insert(threads).values(
        tenant_id=TENANT,
        thread_id=thread_id,
        project_id=new.project_id,
        agent_id=new.agent_id,
        title=new.title,
        is_title_edited=bool(new.title),
        metadata=dict(new.metadata),
        created_by=principal,
    )
    return Thread(**(await tx.execute(statement.returning(*_COLUMNS))).one()._mapping)


async def count_thread(tx: AsyncConnection, thread_id: UUID) -> None:
    """Count a new thread. Last in its transaction: others wait for the row."""
    statement = insert(thread_counts).values(tenant_id=TENANT, shard=thread_id.bytes[-1] % SHARDS, threads=1)
    await tx.execute(
        statement.on_conflict_do_update(
            index_elements=[thread_counts.c.tenant_id, thread_counts.c.shard],
            set_={"threads": thread_counts.c.threads + 1},
        )
    )


async def free_threads(tx: AsyncConnection) -> tuple[int, int]:
    """Return how many threads the tenant may have, and how many more those are than it has."""
    count = sa.select(sa.func.coalesce(sa.func.sum(thread_counts.c.threads), 0)).scalar_subquery()
    row = (await tx.execute(sa.select(tenants.c.max_threads, (tenants.c.max_threads - count).label("free")))).one()
    return row.max_threads, int(row.free)


async def tenant_defaults(tx: AsyncConnection) -> tuple[UUID, UUID]:
    """Return the tenant's default project and default agent. Raises: UnauthenticatedError: the tenant is gone."""
    row = (await tx.execute(sa.select(tenants.c.default_project_id, tenants.c.default_agent_id))).one_or_none()
    if row is None:
        raise tenant_gone()
    return row.default_project_id, row.default_agent_id


async def get_thread(tx: AsyncConnection, thread_id: UUID) -> Thread:
    row = (await tx.execute(_THREADS.where(threads.c.thread_id == thread_id))).one_or_none()
    if row is None:
        raise not_found("thr", thread_id)
    return Thread(**row._mapping)


async def list_threads(tx: AsyncConnection, wanted: ThreadFilter, before: UUID | None, limit: int) -> Sequence[Thread]:
    if wanted.metadata:
        return await _search_threads(tx, wanted, before, limit)
    query = _THREADS
    if wanted.project_id is not None:
        query = query.where(threads.c.project_id == wanted.project_id)
    if wanted.agent_id is not None:
        query = query.where(threads.c.agent_id == wanted.agent_id)
    if wanted.is_active is not None:
        query = query.where(threads.c.is_active.is_(wanted.is_active))
    if before is not None:
        query = query.where(threads.c.thread_id < before)
    rows = await tx.execute(query.order_by(threads.c.thread_id.desc()).limit(limit))
    return [Thread(**row._mapping) for row in rows]


async def _search_threads(
    tx: AsyncConnection, wanted: ThreadFilter, before: UUID | None, limit: int
) -> Sequence[Thread]:
    pairs = sa.cast(sa.literal(dict(wanted.metadata), JSONB), JSONB)
    found = sa.func.search_threads(pairs, wanted.project_id, wanted.agent_id, wanted.is_active, before, limit)
    query = _THREADS.where(threads.c.thread_id.in_(sa.select(found.column_valued())))
    rows = await tx.execute(query.order_by(threads.c.thread_id.desc()))
    return [Thread(**row._mapping) for row in rows]


async def update_thread(tx: AsyncConnection, thread_id: UUID, changes: Mapping[str, Any]) -> Thread:
    """Change a thread and lock its row, which everything that lives in it locks first."""
    change = (
        sa.update(threads)
        .where(threads.c.thread_id == thread_id, threads.c.delete_time.is_(None))
        .values(**changes, update_time=NOW)
        .returning(*_COLUMNS)
    )
    row = (await tx.execute(change)).one_or_none()
    if row is None:
        raise not_found("thr", thread_id)
    return Thread(**row._mapping)


async def next_turn(tx: AsyncConnection, thread_id: UUID, first_words: str) -> int:
    """Take a turn of a thread, under its lock. `first_words` becomes the title of one that has none."""
    is_untitled = sa.and_(threads.c.title == "", sa.not_(threads.c.is_title_edited))
    change = (
        sa.update(threads)
        .where(threads.c.thread_id == thread_id, threads.c.delete_time.is_(None))
        .values(
            last_turn=threads.c.last_turn + 1,
            title=sa.case((is_untitled, first_words), else_=threads.c.title),
            update_time=NOW,
        )
        .returning(threads.c.last_turn)
    )
    turn: int | None = await tx.scalar(change)
    if turn is None:
        raise not_found("thr", thread_id)
    return turn


async def insert_message(
    tx: AsyncConnection, message_id: UUID, thread_id: UUID, turn: int, *, role: str, content: bytes, principal: str
) -> Message:
    """Insert a message as the only one of its turn."""
    statement = sa.insert(messages).values(
        tenant_id=TENANT,
        message_id=message_id,
        thread_id=thread_id,
        turn=turn,
        index=0,
        role=role,
        content=content,
        created_by=principal,
    )
    return Message(**(await tx.execute(statement.returning(*_MESSAGE_COLUMNS))).one()._mapping)


async def log_event(
    tx: AsyncConnection, thread_id: UUID, kind: str, message_id: UUID | None = None, *, payload: bytes | None = None
) -> None:
    """Write an event of a thread whose row is locked; `payload` is its serialized message in ThreadEvent."""
    await tx.execute(_LOG, {"thread": thread_id, "type": kind, "message": message_id, "payload": payload})


async def list_messages(
    tx: AsyncConnection, thread_id: UUID, after: Place | None, limit: int, *, newest_first: bool
) -> Sequence[Message]:
    """Return messages in their order, or backwards, behind a place."""
    query = sa.select(*_MESSAGE_COLUMNS).where(messages.c.thread_id == thread_id)
    if after is not None:
        bound = sa.tuple_(sa.literal(after.turn, sa.BigInteger), sa.literal(after.index, sa.BigInteger))
        query = query.where(bound > _PLACE if newest_first else bound < _PLACE)
    order = (messages.c.turn.desc(), messages.c.index.desc()) if newest_first else (messages.c.turn, messages.c.index)
    rows = await tx.execute(query.order_by(*order).limit(limit))
    return [Message(**row._mapping) for row in rows]
