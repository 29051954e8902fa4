"""Reading runs."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

# Newest first; `inputs` are the messages that a run answers, in the order of the thread.
SELECT = """
  SELECT r.*, ARRAY(SELECT i.message_id FROM run_inputs i JOIN messages m USING (tenant_id, message_id)
    WHERE i.tenant_id = r.tenant_id AND i.run_id = r.run_id ORDER BY m.turn, m.index) AS inputs
  FROM runs r JOIN threads t ON t.tenant_id = r.tenant_id AND t.thread_id = r.thread_id
  WHERE r.tenant_id = (SELECT current_tenant()) AND t.delete_time IS NULL
"""
FIND = sa.text(SELECT + " AND r.run_id = :run")


async def find_run(connection: AsyncConnection, run_id: UUID) -> Any | None:
    """Return the row of a run, unless its thread was deleted."""
    return (await connection.execute(FIND, {"run": run_id})).one_or_none()


async def list_runs(
    connection: AsyncConnection,
    *,
    thread_id: UUID | None,
    agent_id: UUID | None,
    states: Sequence[str],
    before: UUID | None,
    limit: int,
) -> Sequence[Any]:
    """Return rows of runs older than `before`, newest first."""
    wanted = {
        " AND r.thread_id = :thread": ("thread", thread_id),
        " AND r.agent_id = :agent": ("agent", agent_id),
        " AND r.state = ANY(:states)": ("states", list(states) or None),
        " AND r.run_id < :before": ("before", before),
    }
    clauses = "".join(clause for clause, (_, value) in wanted.items() if value is not None)
    values = dict(pair for pair in wanted.values() if pair[1] is not None)
    statement = sa.text(f"{SELECT}{clauses} ORDER BY r.run_id DESC LIMIT :limit")
    return (await connection.execute(statement, {**values, "limit": limit})).all()
