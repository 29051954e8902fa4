"""Agents in PostgreSQL."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from weft_threads.agents.agent import Agent, AgentVersion, StoredSpec
from weft_threads.store.tables import NOW, TENANT, agent_versions, agents, runs, tenants

_AGENTS = (
    sa.select(
        agents.c.agent_id,
        agents.c.display_name,
        agents.c.description,
        agents.c.current_version_id.label("version_id"),
        agent_versions.c.number.label("version_number"),
        agent_versions.c.spec,
        agents.c.create_time,
        agents.c.update_time,
        agents.c.created_by,
    )
    .join(
        agent_versions,
        sa.and_(
            agent_versions.c.tenant_id == agents.c.tenant_id,
            agent_versions.c.agent_version_id == agents.c.current_version_id,
        ),
    )
    .where(agents.c.delete_time.is_(None))
)
_VERSIONS = sa.select(
    agent_versions.c.agent_version_id,
    agent_versions.c.agent_id,
    agent_versions.c.number,
    agent_versions.c.spec,
    agent_versions.c.create_time,
    agent_versions.c.created_by,
)


async def insert_agent(
    tx: AsyncConnection, agent_id: UUID, version_id: UUID, display_name: str, description: str, principal: str
) -> None:
    values = {"tenant_id": TENANT, "agent_id": agent_id, "display_name": display_name, "description": description}
    await tx.execute(sa.insert(agents).values(**values, current_version_id=version_id, created_by=principal))


async def insert_version(
    tx: AsyncConnection, agent_id: UUID, version_id: UUID, number: int, spec: StoredSpec, principal: str
) -> None:
    await tx.execute(
        sa.insert(agent_versions).values(
            tenant_id=TENANT,
            agent_version_id=version_id,
            agent_id=agent_id,
            number=number,
            spec=spec.spec,
            busy_strategy=spec.busy_strategy,
            run_timeout=spec.run_timeout,
            queue_timeout=spec.queue_timeout,
            context_bytes=spec.context_bytes,
            tools=list(spec.tools),
            created_by=principal,
        )
    )


async def find_agent(tx: AsyncConnection, agent_id: UUID) -> Agent | None:
    row = (await tx.execute(_AGENTS.where(agents.c.agent_id == agent_id))).one_or_none()
    return None if row is None else Agent(**row._mapping)


async def lock_agent(tx: AsyncConnection, agent_id: UUID) -> bool:
    """Lock an agent that exists against other changes until the transaction ends."""
    query = sa.select(agents.c.agent_id).where(agents.c.agent_id == agent_id, agents.c.delete_time.is_(None))
    return (await tx.execute(query.with_for_update())).first() is not None


async def list_agents(tx: AsyncConnection, before: UUID | None, limit: int) -> Sequence[Agent]:
    query = _AGENTS if before is None else _AGENTS.where(agents.c.agent_id < before)
    rows = await tx.execute(query.order_by(agents.c.agent_id.desc()).limit(limit))
    return [Agent(**row._mapping) for row in rows]


async def update_agent(tx: AsyncConnection, agent_id: UUID, changes: Mapping[str, Any]) -> None:
    await tx.execute(sa.update(agents).where(agents.c.agent_id == agent_id).values(**changes, update_time=NOW))


async def delete_agent(tx: AsyncConnection, agent_id: UUID) -> None:
    """Mark it deleted: its versions and threads refer to it."""
    await tx.execute(sa.update(agents).where(agents.c.agent_id == agent_id).values(delete_time=NOW))


async def is_default_agent(tx: AsyncConnection, agent_id: UUID) -> bool:
    """Whether the tenant answers with it. Locks the tenant, so that the answer holds."""
    default = await tx.scalar(sa.select(tenants.c.default_agent_id).with_for_update(read=True))
    return default == agent_id


async def has_open_runs(tx: AsyncConnection, agent_id: UUID) -> bool:
    open_runs = sa.select(runs.c.run_id).where(runs.c.agent_id == agent_id, runs.c.end_time.is_(None))
    return bool(await tx.scalar(sa.select(sa.exists(open_runs))))


async def find_version(tx: AsyncConnection, version_id: UUID) -> AgentVersion | None:
    row = (await tx.execute(_VERSIONS.where(agent_versions.c.agent_version_id == version_id))).one_or_none()
    return None if row is None else AgentVersion(**row._mapping)


async def list_versions(tx: AsyncConnection, agent_id: UUID, before: int | None, limit: int) -> Sequence[AgentVersion]:
    query = _VERSIONS.where(agent_versions.c.agent_id == agent_id)
    if before is not None:
        query = query.where(agent_versions.c.number < before)
    rows = await tx.execute(query.order_by(agent_versions.c.number.desc()).limit(limit))
    return [AgentVersion(**row._mapping) for row in rows]
