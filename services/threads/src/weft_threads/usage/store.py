"""Sums over the journals of model calls and tool calls."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.ext.asyncio import AsyncConnection

from weft_threads.store.tables import NOW, run_steps, runs, tool_executions
from weft_threads.usage.report import Keys, Range, UsageQuery

_S, _T = run_steps.c, tool_executions.c
# Groups are compared and sorted byte by byte, so that a page goes on exactly behind the last. Constants in them are no
# parameters: PostgreSQL would not see that what is selected is what is grouped by.
_BYTES = "C"


def _key(column: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    return sa.func.coalesce(sa.cast(column, sa.Text), sa.literal_column("''")).collate(_BYTES)


def _day(time: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    in_utc = sa.func.timezone(sa.literal_column("'UTC'"), time)
    return sa.func.to_char(in_utc, sa.literal_column("'YYYY-MM-DD'")).collate(_BYTES)


_CALL_GROUPS: Mapping[str, sa.ColumnElement[str]] = {
    "agent": _key(runs.c.agent_id),
    "model": _key(_S.model),
    "project": _key(runs.c.project_id),
    "day": _day(_S.start_time),
}
_TOOL_GROUPS: Mapping[str, sa.ColumnElement[str]] = {
    "agent": _key(_T.agent_id),
    "day": _day(_T.create_time),
    "tool": _key(_T.tool),
    "outcome": _key(_T.state),
}


def _sum(column: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    return sa.cast(sa.func.coalesce(sa.func.sum(column), 0), sa.BigInteger)


_CALLS: Sequence[Any] = (
    sa.func.count(sa.distinct(_S.run_id)).label("runs"),
    sa.func.count(_S.run_id).label("model_calls"),
    sa.func.count(_S.run_id).filter(_S.input_tokens.is_(None)).label("unmetered_model_calls"),
    sa.func.count(_S.run_id)
    .filter(_S.input_tokens.is_not(None), _S.cost_micros.is_(None))
    .label("unpriced_model_calls"),
    _sum(_S.input_tokens).label("input_tokens"),
    _sum(_S.output_tokens).label("output_tokens"),
    _sum(_S.cached_input_tokens).label("cached_input_tokens"),
    _sum(_S.cost_micros).label("cost_micros"),
)


async def now_of(tx: AsyncConnection) -> datetime:
    now: datetime | None = await tx.scalar(sa.select(NOW))
    assert now is not None
    return now


async def sum_model_calls(
    tx: AsyncConnection, query: UsageQuery, within: Range, after: Keys, limit: int
) -> Sequence[Any]:
    """Return rows with `group_keys`, the values of their groups, and sums; those behind `after`."""
    of_run = sa.and_(runs.c.tenant_id == _S.tenant_id, runs.c.run_id == _S.run_id)
    asked = (
        sa.select(*_CALLS)
        .select_from(run_steps.join(runs, of_run))
        .where(_S.start_time >= within.start, _S.start_time < within.end, _S.state != "started")
    )
    if query.agent_id is not None:
        asked = asked.where(runs.c.agent_id == query.agent_id)
    if query.project_id is not None:
        asked = asked.where(runs.c.project_id == query.project_id)
    if query.name:
        asked = asked.where(_S.model == query.name)
    return await _grouped(tx, asked, [_CALL_GROUPS[name] for name in query.groups], after, limit)


async def count_tool_calls(
    tx: AsyncConnection, query: UsageQuery, within: Range, after: Keys, limit: int
) -> Sequence[Any]:
    """The same of tool calls, with `tool_calls`."""
    asked = sa.select(sa.func.count().label("tool_calls")).where(
        _T.create_time >= within.start, _T.create_time < within.end
    )
    if query.agent_id is not None:
        asked = asked.where(_T.agent_id == query.agent_id)
    if query.name:
        asked = asked.where(_T.tool == query.name)
    return await _grouped(tx, asked, [_TOOL_GROUPS[name] for name in query.groups], after, limit)


async def _grouped(
    tx: AsyncConnection, asked: sa.Select[Any], groups: Sequence[sa.ColumnElement[str]], after: Keys, limit: int
) -> Sequence[Any]:
    if not groups:
        return (await tx.execute(asked.add_columns(sa.literal([], sa.ARRAY(sa.Text)).label("group_keys")))).all()
    grouped = asked.add_columns(array(groups).label("group_keys")).group_by(*groups).order_by(*groups).limit(limit)
    if after:
        grouped = grouped.where(sa.tuple_(*groups) > sa.tuple_(*map(sa.literal, after)))
    return (await tx.execute(grouped)).all()
