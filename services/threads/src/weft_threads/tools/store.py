"""The journal of tool calls in PostgreSQL."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from weft_threads.store.database import DriverConnection
from weft_threads.store.tables import NOW, TENANT, agent_versions, agents, runs, tool_executions
from weft_threads.tools.execution import Asked, Begun, Call, Execution, Outcome, Setting, State

_T = tool_executions.c
_COLUMNS = (
    _T.tool_execution_id,
    _T.tool,
    _T.arguments_sha256,
    _T.state,
    _T.is_idempotent,
    sa.and_(_T.state == State.STARTED, _T.lease_time > NOW).label("is_held"),
    _T.lease_time,
    _T.attempt,
    sa.func.coalesce(_T.reason, "").label("reason"),
    sa.func.coalesce(_T.content, "").label("content"),
    _T.is_truncated,
    (_T.end_time - _T.create_time).label("duration"),
)


async def take_call_of_run(
    connection: DriverConnection,
    place: tuple[UUID, UUID, int],
    execution_id: UUID,
    key: str,
    asked: Asked,
    principal: str,
) -> Begun | None:
    """Take a new call of a run (its tenant, id and epoch), in one round trip. None: it takes more to decide."""
    call = asked.call
    row = await connection.fetchrow(
        "SELECT * FROM begin_run_execution($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        *(*place, execution_id, key, call.tool, call.arguments_sha256, asked.is_idempotent, asked.lease, principal),
    )
    if row is None:
        return None
    made = Execution(
        tool_execution_id=execution_id,
        tool=call.tool,
        arguments_sha256=call.arguments_sha256,
        state=State.STARTED,
        is_idempotent=asked.is_idempotent,
        is_held=True,
        lease_time=row["lease_time"],
        attempt=1,
    )
    _, run_id, epoch = place
    setting = Setting(row["agent_id"], row["project_id"], row["thread_id"], run_id, epoch, frozenset(row["tools"]))
    return Begun(made, setting)


async def finish_call_of_run(
    connection: DriverConnection, tenant_id: UUID, run_id: UUID, execution_id: UUID, attempt: int, outcome: Outcome
) -> bool:
    """Store how an attempt of a run's call ended, in one round trip. False: it is not under way."""
    told = (outcome.state, outcome.content, outcome.is_truncated, outcome.reason)
    is_stored: bool = await connection.fetchval(
        "SELECT finish_run_execution($1, $2, $3, $4, $5, $6, $7, $8)", tenant_id, run_id, execution_id, attempt, *told
    )
    return is_stored


async def find_run_setting(tx: AsyncConnection, run_id: UUID) -> Any | None:
    """Return what a call of a run needs to know, and keep the run from being taken over until the end."""
    query = (
        sa.select(
            runs.c.state, runs.c.epoch, runs.c.agent_id, runs.c.project_id, runs.c.thread_id, agent_versions.c.spec
        )
        .join(
            agent_versions,
            sa.and_(
                agent_versions.c.tenant_id == runs.c.tenant_id,
                agent_versions.c.agent_version_id == runs.c.agent_version_id,
            ),
        )
        .where(runs.c.run_id == run_id)
        .with_for_update(read=True, of=runs)
    )
    return (await tx.execute(query)).one_or_none()


async def find_agent_spec(tx: AsyncConnection, agent_id: UUID) -> bytes | None:
    """Return the content of an agent's newest version."""
    query = (
        sa.select(agent_versions.c.spec)
        .join(
            agents,
            sa.and_(
                agents.c.tenant_id == agent_versions.c.tenant_id,
                agents.c.current_version_id == agent_versions.c.agent_version_id,
            ),
        )
        .where(agents.c.agent_id == agent_id, agents.c.delete_time.is_(None))
    )
    spec: bytes | None = await tx.scalar(query)
    return spec


async def insert_started(
    tx: AsyncConnection, execution_id: UUID, key: str, asked: Asked, setting: Setting, principal: str
) -> Execution | None:
    """Take a call. Returns None when there is a row of this key; then it is committed."""
    statement = (
        insert(tool_executions)
        .values(
            **_call_values(execution_id, key, asked.call, setting, principal),
            state=State.STARTED,
            is_idempotent=asked.is_idempotent,
            lease_time=NOW + asked.lease,
        )
        .on_conflict_do_nothing(
            index_elements=[_T.tenant_id, _T.execution_key], index_where=_T.state != sa.literal_column("'denied'")
        )
        .returning(*_COLUMNS)
    )
    row = (await tx.execute(statement)).one_or_none()
    return None if row is None else _execution_of(row)


async def insert_denied(
    tx: AsyncConnection, execution_id: UUID, key: str, call: Call, setting: Setting, *, reason: str, principal: str
) -> None:
    values = _call_values(execution_id, key, call, setting, principal)
    await tx.execute(sa.insert(tool_executions).values(**values, state=State.DENIED, reason=reason, end_time=NOW))


async def lock_execution(tx: AsyncConnection, key: str) -> Execution:
    query = sa.select(*_COLUMNS).where(_T.execution_key == key, _T.state != State.DENIED).with_for_update()
    return _execution_of((await tx.execute(query)).one())


async def find_execution(tx: AsyncConnection, execution_id: UUID, run_id: UUID | None) -> Execution | None:
    query = sa.select(*_COLUMNS).where(
        _T.tool_execution_id == execution_id, _T.run_id.is_not_distinct_from(run_id), _T.state != State.DENIED
    )
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else _execution_of(row)


async def restart_execution(tx: AsyncConnection, execution_id: UUID, lease: timedelta, epoch: int | None) -> Execution:
    """Begin a locked call again, as a further attempt."""
    change = (
        sa.update(tool_executions)
        .where(_T.tool_execution_id == execution_id)
        .values(attempt=_T.attempt + 1, lease_time=NOW + lease, epoch=epoch)
    )
    return _execution_of((await tx.execute(change.returning(*_COLUMNS))).one())


async def renew_execution(
    tx: AsyncConnection, execution_id: UUID, run_id: UUID | None, attempt: int, lease: timedelta
) -> bool:
    """Hold a call for longer. Returns whether it is still this attempt's, of this run or of none, and under way."""
    change = _of_attempt(execution_id, run_id, attempt).values(lease_time=NOW + lease)
    return (await tx.execute(change)).rowcount == 1


async def finish_execution(
    tx: AsyncConnection, execution_id: UUID, run_id: UUID | None, attempt: int, outcome: Outcome
) -> Execution | None:
    """Store how an attempt ended, unless another one has begun, an outcome is stored, or it is another run's."""
    change = _of_attempt(execution_id, run_id, attempt).values(
        state=outcome.state,
        content=outcome.content,
        is_truncated=outcome.is_truncated,
        reason=outcome.reason or None,
        end_time=NOW,
    )
    row = (await tx.execute(change.returning(*_COLUMNS))).one_or_none()
    return None if row is None else _execution_of(row)


def _of_attempt(execution_id: UUID, run_id: UUID | None, attempt: int) -> sa.Update:
    return sa.update(tool_executions).where(
        _T.tool_execution_id == execution_id,
        _T.run_id.is_not_distinct_from(run_id),
        _T.attempt == attempt,
        _T.state == State.STARTED,
    )


def _call_values(execution_id: UUID, key: str, call: Call, setting: Setting, principal: str) -> dict[str, Any]:
    return {
        "tenant_id": TENANT,
        "tool_execution_id": execution_id,
        "execution_key": key,
        "run_id": setting.run_id,
        "epoch": setting.epoch,
        "agent_id": setting.agent_id,
        "tool": call.tool,
        "arguments_sha256": call.arguments_sha256,
        "created_by": principal,
    }


def _execution_of(row: sa.Row[Any]) -> Execution:
    values = dict(row._mapping)
    return Execution(**{**values, "state": State(values["state"])})
