"""Appending plain events of many runs in one statement, fenced by epoch and seq."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from weft_threads.events.frames import LoggedEvent
from weft_threads.store.database import DriverConnection

# Per run: $1 tenant $2 run $3 epoch $4 expected last seq $5 count $6 first event; all events: $7 type $8 payload.
# The runs come sorted by id, so that two batches lock rows in the same order. Written so that no plan is quadratic,
# whatever the statistics say: LIMIT 1 keeps the state out of the look-up, so that only the primary key can serve it,
# and slices of the arrays replace a join of the events.
APPEND = """
WITH now AS MATERIALIZED (SELECT weft_now() AS time),
batch AS (SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::int[], $6::int[])
  AS b(tenant_id, run_id, epoch, expected, n, first)),
locked AS (SELECT b.* FROM batch b CROSS JOIN LATERAL (
    SELECT r.epoch, r.last_seq, r.state FROM runs r WHERE r.tenant_id = b.tenant_id AND r.run_id = b.run_id
    LIMIT 1 FOR NO KEY UPDATE) r
  WHERE r.epoch = b.epoch AND r.last_seq = b.expected AND r.state = 'running'),
fenced AS (UPDATE runs r SET last_seq = l.expected + l.n FROM locked l
  WHERE r.tenant_id = l.tenant_id AND r.run_id = l.run_id RETURNING l.*, r.cancel_time IS NOT NULL AS stop_requested),
written AS (INSERT INTO run_events (tenant_id, run_id, seq, epoch, type, create_time, payload)
  SELECT f.tenant_id, f.run_id, f.expected + e.k, f.epoch, e.type, now.time, e.payload FROM fenced f, now,
    unnest(($7::text[])[f.first:f.first + f.n - 1], ($8::bytea[])[f.first:f.first + f.n - 1])
      WITH ORDINALITY AS e(type, payload, k))
SELECT f.tenant_id, f.run_id, f.stop_requested, now.time FROM fenced f, now
"""
STATES = """
SELECT k.tenant_id, k.run_id, r.state, r.epoch, r.last_seq, r.cancel_time IS NOT NULL AS stop_requested
FROM unnest($1::uuid[], $2::uuid[]) k(tenant_id, run_id) CROSS JOIN LATERAL (
  SELECT * FROM (SELECT state, epoch, last_seq, cancel_time FROM runs
    WHERE tenant_id = k.tenant_id AND run_id = k.run_id LIMIT 1) x) r
"""


@dataclass(frozen=True, slots=True)
class Append:
    """Plain events of one run."""

    tenant_id: UUID
    run_id: UUID
    epoch: int
    expected_seq: int
    events: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Appended:
    """How a run stands after an append, whether that wrote something or not."""

    state: str
    epoch: int
    last_seq: int
    stop_requested: bool


async def append_events(
    connection: DriverConnection, batch: Sequence[Append]
) -> tuple[dict[UUID, Appended], list[LoggedEvent]]:
    """Append what still fits; return how each run stands (none for unknown ones), and what was written."""
    ordered = sorted(batch, key=lambda each: each.run_id)
    rows = await connection.fetch(APPEND, *_arguments(ordered))
    by_run = {each.run_id: each for each in ordered}
    written = {row["run_id"]: row for row in rows}
    results = {
        run_id: Appended("running", each.epoch, each.expected_seq + len(each.events), written[run_id]["stop_requested"])
        for run_id, each in by_run.items()
        if run_id in written
    }
    refused = [each for each in ordered if each.run_id not in written]
    for row in await _states(connection, refused):
        results[row["run_id"]] = Appended(row["state"], row["epoch"], row["last_seq"], row["stop_requested"])
    events = [event for run_id, row in written.items() for event in _logged(by_run[run_id], row["time"])]
    return results, events


async def _states(connection: DriverConnection, refused: Sequence[Append]) -> list[asyncpg.Record]:
    if not refused:
        return []
    return await connection.fetch(STATES, [each.tenant_id for each in refused], [each.run_id for each in refused])


def _arguments(batch: Sequence[Append]) -> tuple[list[object], ...]:
    firsts, first = [], 1
    for each in batch:
        firsts.append(first)
        first += len(each.events)
    return (
        [each.tenant_id for each in batch],
        [each.run_id for each in batch],
        [each.epoch for each in batch],
        [each.expected_seq for each in batch],
        [len(each.events) for each in batch],
        list(firsts),
        [type_ for each in batch for type_, _ in each.events],
        [payload for each in batch for _, payload in each.events],
    )


def _logged(append: Append, time: datetime) -> list[LoggedEvent]:
    return [
        LoggedEvent(append.tenant_id, append.run_id, append.expected_seq + n, append.epoch, type_, False, time, payload)
        for n, (type_, payload) in enumerate(append.events, start=1)
    ]
