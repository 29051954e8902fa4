"""Projects in PostgreSQL."""

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from weft_threads.missing import not_found, tenant_gone
from weft_threads.projects.project import Project
from weft_threads.store.tables import NOW, TENANT, documents, projects, runs, tasks, tenants, threads

_COLUMNS = (
    projects.c.project_id,
    projects.c.display_name,
    projects.c.create_time,
    projects.c.update_time,
    projects.c.created_by,
)
_PROJECTS = sa.select(*_COLUMNS).where(projects.c.delete_time.is_(None))


async def insert_project(tx: AsyncConnection, project_id: UUID, display_name: str, principal: str) -> Project:
    values = {"tenant_id": TENANT, "project_id": project_id, "display_name": display_name, "created_by": principal}
    row = (await tx.execute(sa.insert(projects).values(values).returning(*_COLUMNS))).one()
    return Project(**row._mapping)


async def get_project(tx: AsyncConnection, project_id: UUID) -> Project:
    row = (await tx.execute(_PROJECTS.where(projects.c.project_id == project_id))).one_or_none()
    if row is None:
        raise not_found("prj", project_id)
    return Project(**row._mapping)


async def require_project(tx: AsyncConnection, project_id: UUID) -> None:
    """Keep a project from being deleted until the transaction ends. Raises: NotFoundError: it is gone."""
    query = sa.select(projects.c.project_id).where(
        projects.c.project_id == project_id, projects.c.delete_time.is_(None)
    )
    if (await tx.execute(query.with_for_update(read=True))).first() is None:
        raise not_found("prj", project_id)


async def lock_project(tx: AsyncConnection, project_id: UUID) -> None:
    """Keep everybody from putting anything into a project. Raises: NotFoundError: it is gone."""
    query = sa.select(projects.c.project_id).where(
        projects.c.project_id == project_id, projects.c.delete_time.is_(None)
    )
    if (await tx.execute(query.with_for_update())).first() is None:
        raise not_found("prj", project_id)


async def default_project(tx: AsyncConnection) -> UUID:
    """Return the tenant's default project. Raises: UnauthenticatedError: the tenant is gone."""
    row = (await tx.execute(sa.select(tenants.c.default_project_id))).one_or_none()
    if row is None:
        raise tenant_gone()
    default: UUID = row.default_project_id
    return default


async def list_projects(tx: AsyncConnection, before: UUID | None, limit: int) -> Sequence[Project]:
    query = _PROJECTS if before is None else _PROJECTS.where(projects.c.project_id < before)
    rows = await tx.execute(query.order_by(projects.c.project_id.desc()).limit(limit))
    return [Project(**row._mapping) for row in rows]


async def rename_project(tx: AsyncConnection, project_id: UUID, display_name: str) -> Project:
    change = (
        sa.update(projects)
        .where(projects.c.project_id == project_id, projects.c.delete_time.is_(None))
        .values(display_name=display_name, update_time=NOW)
        .returning(*_COLUMNS)
    )
    row = (await tx.execute(change)).one_or_none()
    if row is None:
        raise not_found("prj", project_id)
    return Project(**row._mapping)


async def has_open_runs(tx: AsyncConnection, project_id: UUID) -> bool:
    found = sa.select(runs.c.run_id).where(runs.c.project_id == project_id, runs.c.end_time.is_(None))
    return bool(await tx.scalar(sa.select(sa.exists(found))))


async def thread_ids(tx: AsyncConnection, project_id: UUID, limit: int) -> Sequence[UUID]:
    query = sa.select(threads.c.thread_id).where(threads.c.project_id == project_id, threads.c.delete_time.is_(None))
    return (await tx.execute(query.order_by(threads.c.thread_id).limit(limit))).scalars().all()


async def delete_project(tx: AsyncConnection, project_id: UUID) -> None:
    """Delete documents and tasks, and mark the project deleted: what is left of its threads refers to it."""
    await tx.execute(sa.delete(tasks).where(tasks.c.project_id == project_id))
    await tx.execute(sa.delete(documents).where(documents.c.project_id == project_id))
    await tx.execute(sa.update(projects).where(projects.c.project_id == project_id).values(delete_time=NOW))
