"""Tasks in PostgreSQL."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from weft_threads.missing import not_found
from weft_threads.store.tables import NOW, TENANT, tasks
from weft_threads.tasks.task import NewTask, Task

_COLUMNS = (
    tasks.c.task_id,
    tasks.c.project_id,
    tasks.c.title,
    tasks.c.description,
    tasks.c.state,
    tasks.c.run_id,
    tasks.c.create_time,
    tasks.c.update_time,
    tasks.c.created_by,
)
_TASKS = sa.select(*_COLUMNS)


async def insert_task(
    tx: AsyncConnection, task_id: UUID, new: NewTask, principal: str, run_id: UUID | None
) -> Task | None:
    """Return None when a task was made under this `request_id` before."""
    statement = (
        insert(tasks)
        .values(
            tenant_id=TENANT,
            task_id=task_id,
            project_id=new.project_id,
            title=new.title,
            description=new.description,
            creation_key=new.request_id or None,
            creation_digest=new.digest() if new.request_id else None,
            run_id=run_id,
            created_by=principal,
        )
        .on_conflict_do_nothing(
            index_elements=[tasks.c.tenant_id, tasks.c.creation_key], index_where=tasks.c.creation_key.is_not(None)
        )
        .returning(*_COLUMNS)
    )
    row = (await tx.execute(statement)).one_or_none()
    return None if row is None else Task(**row._mapping)


async def get_made_before(tx: AsyncConnection, request_id: str) -> tuple[Task, bytes]:
    """Return the task made under a `request_id`, and the digest of what was asked for."""
    query = sa.select(*_COLUMNS, tasks.c.creation_digest).where(tasks.c.creation_key == request_id)
    row = (await tx.execute(query)).one()
    return Task(*row[:-1]), row.creation_digest


async def get_task(tx: AsyncConnection, task_id: UUID) -> Task:
    row = (await tx.execute(_TASKS.where(tasks.c.task_id == task_id))).one_or_none()
    if row is None:
        raise not_found("tsk", task_id)
    return Task(**row._mapping)


async def list_tasks(
    tx: AsyncConnection, project_id: UUID | None, state: str | None, before: UUID | None, limit: int
) -> Sequence[Task]:
    query = _TASKS
    if project_id is not None:
        query = query.where(tasks.c.project_id == project_id)
    if state is not None:
        query = query.where(tasks.c.state == state)
    if before is not None:
        query = query.where(tasks.c.task_id < before)
    rows = await tx.execute(query.order_by(tasks.c.task_id.desc()).limit(limit))
    return [Task(**row._mapping) for row in rows]


async def update_task(tx: AsyncConnection, task_id: UUID, changes: Mapping[str, str]) -> Task:
    change = sa.update(tasks).where(tasks.c.task_id == task_id).values(**changes, update_time=NOW)
    row = (await tx.execute(change.returning(*_COLUMNS))).one_or_none()
    if row is None:
        raise not_found("tsk", task_id)
    return Task(**row._mapping)


async def delete_task(tx: AsyncConnection, task_id: UUID) -> None:
    if (await tx.execute(sa.delete(tasks).where(tasks.c.task_id == task_id))).rowcount == 0:
        raise not_found("tsk", task_id)
