"""Tenants and API keys in PostgreSQL."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from weft_threads.missing import not_found
from weft_threads.store.tables import NOW, TENANT, api_keys, runs, tenants
from weft_threads.tenants.tenant import ApiKey, Credential, NewApiKey, Tenant

_COLUMNS = tuple(tenants.c[name] for name in Tenant.__dataclass_fields__)
_KEY_COLUMNS = tuple(api_keys.c[name] for name in ApiKey.__dataclass_fields__)
_LIST = sa.text("SELECT * FROM list_tenants(:after, :limit)").columns(*_COLUMNS)

# What a tenant has, in an order in which foreign keys let it go.
_BELONGINGS = (
    "tool_executions",
    "run_steps",
    "run_events",
    "run_inputs",
    "attachments",
    "messages",
    "thread_events",
    "requests",
    "runs",
    "threads",
    "thread_counts",
    "tasks",
    "document_passages",
    "documents",
    "agent_versions",
    "agents",
    "projects",
    "model_endpoints",
    "api_keys",
    "tenants",
)


async def insert_tenant(tx: AsyncConnection, values: Mapping[str, Any]) -> None:
    await tx.execute(sa.insert(tenants).values(values))


async def get_tenant(tx: AsyncConnection, tenant_id: UUID) -> Tenant:
    row = (await tx.execute(sa.select(*_COLUMNS).where(tenants.c.tenant_id == tenant_id))).one_or_none()
    if row is None:
        raise not_found("ten", tenant_id)
    return Tenant(**row._mapping)


async def list_tenants(tx: AsyncConnection, after: UUID | None, limit: int) -> Sequence[Tenant]:
    """List the tenants, oldest first. This alone looks at all of them, through a function of the schema."""
    rows = await tx.execute(_LIST, {"after": after or UUID(int=0), "limit": limit})
    return [Tenant(**{name: getattr(row, name) for name in Tenant.__dataclass_fields__}) for row in rows]


async def update_tenant(tx: AsyncConnection, tenant_id: UUID, changes: Mapping[str, Any]) -> Tenant:
    change = sa.update(tenants).where(tenants.c.tenant_id == tenant_id).values(**changes, update_time=NOW)
    row = (await tx.execute(change.returning(*_COLUMNS))).one_or_none()
    if row is None:
        raise not_found("ten", tenant_id)
    return Tenant(**row._mapping)


async def lock_tenant(tx: AsyncConnection, tenant_id: UUID) -> None:
    """Lock a tenant against all that is new. Raises: NotFoundError: it is gone."""
    query = sa.select(tenants.c.tenant_id).where(tenants.c.tenant_id == tenant_id).with_for_update()
    if (await tx.execute(query)).first() is None:
        raise not_found("ten", tenant_id)


async def has_open_runs(tx: AsyncConnection) -> bool:
    return bool(await tx.scalar(sa.select(sa.exists(sa.select(runs.c.run_id).where(runs.c.end_time.is_(None))))))


async def delete_tenant(tx: AsyncConnection) -> None:
    """Delete all that the transaction's tenant has, and itself."""
    for name in _BELONGINGS:
        await tx.execute(sa.delete(sa.table(name)))


async def insert_api_key(
    tx: AsyncConnection, api_key_id: UUID, new: NewApiKey, sha256: bytes, *, principal: str, created_by: str
) -> ApiKey:
    statement = sa.insert(api_keys).values(
        tenant_id=TENANT,
        api_key_id=api_key_id,
        key_sha256=sha256,
        display_name=new.display_name,
        principal=principal,
        scopes=list(new.scopes),
        expire_time=new.expire_time,
        created_by=created_by,
    )
    return _key_of((await tx.execute(statement.returning(*_KEY_COLUMNS))).one())


async def list_api_keys(tx: AsyncConnection, before: UUID | None, limit: int) -> Sequence[ApiKey]:
    query = sa.select(*_KEY_COLUMNS)
    if before is not None:
        query = query.where(api_keys.c.api_key_id < before)
    rows = await tx.execute(query.order_by(api_keys.c.api_key_id.desc()).limit(limit))
    return [_key_of(row) for row in rows]


async def revoke_api_key(tx: AsyncConnection, api_key_id: UUID) -> ApiKey:
    change = (
        sa.update(api_keys)
        .where(api_keys.c.api_key_id == api_key_id)
        .values(revoke_time=sa.func.coalesce(api_keys.c.revoke_time, NOW))
    )
    row = (await tx.execute(change.returning(*_KEY_COLUMNS))).one_or_none()
    if row is None:
        raise not_found("key", api_key_id)
    return _key_of(row)


async def find_credential(driver: "asyncpg.Connection[asyncpg.Record]", sha256: bytes) -> Credential | None:
    row = await driver.fetchrow("SELECT * FROM resolve_api_key($1)", sha256)
    if row is None:
        return None
    scopes = tuple(row["scopes"])
    return Credential(row["tenant_id"], row["api_key_id"], row["principal"], scopes, row["expire_time"])


def _key_of(row: sa.Row[Any]) -> ApiKey:
    values = dict(row._mapping)
    return ApiKey(**{**values, "scopes": tuple(values["scopes"])})
