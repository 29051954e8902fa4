"""Decide. Nothing here uses the code under test: it reads the tables and builds the events with protobuf itself."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from weft.runs.v1 import event_pb2

from oracle.ids import base32, uuid_of
from oracle.queries import NOT_ENDED, VIOLATIONS
from oracle.recordings import Recordings
from oracle.thread_log import THREAD_VIOLATIONS, differences

EVENTS = "SELECT * FROM run_events WHERE run_id = $1 ORDER BY seq"
THREAD_EVENTS = "SELECT * FROM thread_events WHERE thread_id = $1 ORDER BY seq"


@dataclass
class Verdict:
    """Violations by invariant: a few examples of each. `checked` says how much there was to look at."""

    violations: dict[str, list[str]] = field(default_factory=dict)
    checked: dict[str, int] = field(default_factory=dict)

    def add(self, invariant: str, example: object) -> None:
        examples = self.violations.setdefault(invariant, [])
        if len(examples) < 5:
            examples.append(str(example))

    @property
    def is_clean(self) -> bool:
        return not self.violations


async def assert_clean(dsn: str, recordings: Recordings | None = None, *, all_ended: bool = True) -> Verdict:
    """Fail with every violation. `dsn` opens the database as a superuser, whom row-level security does not bind."""
    verdict = await check(dsn, recordings or Recordings(), all_ended=all_ended)
    assert verdict.is_clean, "\n".join(f"{name}: {examples}" for name, examples in verdict.violations.items())
    assert verdict.checked["runs"] > 0, "the oracle had nothing to look at"
    return verdict


async def check(dsn: str, recordings: Recordings, *, all_ended: bool = True) -> Verdict:
    """Look at everything. With `all_ended`, a run that has not ended is a violation of I1."""
    connection = await asyncpg.connect(dsn)
    try:
        verdict = Verdict()
        verdict.checked["runs"] = await connection.fetchval("SELECT count(*) FROM runs")
        verdict.checked["events"] = await connection.fetchval("SELECT count(*) FROM run_events")
        verdict.checked["watches"] = len(recordings.watches)
        queries = {**VIOLATIONS, **THREAD_VIOLATIONS, **({"I1 every run has ended": NOT_ENDED} if all_ended else {})}
        for name, query in queries.items():
            for row in await connection.fetch(query):
                verdict.add(name, dict(row))
        await _acknowledged(connection, recordings, verdict)
        for run_id, after_seq, seen in recordings.watches:
            await _watched(connection, run_id, after_seq, seen, verdict)
        for thread_id, items in recordings.thread_watches:
            await _watched_thread(connection, thread_id, items, verdict)
        _effects(recordings, verdict)
        return verdict
    finally:
        await connection.close()


async def _acknowledged(connection: Any, recordings: Recordings, verdict: Verdict) -> None:
    for table, key, ids in (
        ("runs", "run_id", recordings.acknowledged_runs),
        ("messages", "message_id", recordings.acknowledged_messages),
    ):
        wanted = {uuid_of(text): text for text in ids}
        rows = await connection.fetch(f"SELECT {key} FROM {table} WHERE {key} = ANY($1)", list(wanted))
        for missing in wanted.keys() - {row[key] for row in rows}:
            verdict.add("I2 what was acknowledged is there", wanted[missing])


async def _watched(
    connection: Any, run_id: str, after_seq: int, seen: list[event_pb2.RunEvent], verdict: Verdict
) -> None:
    rows = await connection.fetch(EVENTS, uuid_of(run_id))
    log = [event_from(row).SerializeToString(deterministic=True) for row in rows if row["seq"] > after_seq]
    got = [event.SerializeToString(deterministic=True) for event in seen]
    if got != log:
        first = next((n for n, (a, b) in enumerate(zip(got, log, strict=False)) if a != b), min(len(got), len(log)))
        seqs = [event.seq for event in seen[max(0, first - 2) : first + 3]]
        verdict.add(
            "I4 a watcher saw exactly the log",
            f"{run_id} after {after_seq}: saw {len(got)} of {len(log)}, first difference at {first}, seqs there {seqs}",
        )


async def _watched_thread(connection: Any, thread_id: str, items: list[Any], verdict: Verdict) -> None:
    rows = await connection.fetch(THREAD_EVENTS, uuid_of(thread_id))
    for difference in differences(rows, items):
        verdict.add("I4 a watcher of a thread saw exactly its log", f"{thread_id}: {difference}")
    for text in (f"run_{base32(row['run_id'])}" for row in rows if row["type"] == "run.started"):
        seen = [each.run_event for each in items if each.HasField("run_event") and each.run_event.run_id == text]
        await _watched(connection, text, 0, seen, verdict)


def _effects(recordings: Recordings, verdict: Verdict) -> None:
    if recordings.effects is None or not recordings.effects.exists():
        return
    keys = Counter(line.split()[0] for line in recordings.effects.read_text().splitlines() if line.strip())
    verdict.checked["effects"] = sum(keys.values())
    for key, count in keys.items():
        if count > 1:
            verdict.add("I7 no effect twice under one key", f"{key}: {count}")


def event_from(row: Any) -> event_pb2.RunEvent:
    """Return the event of a row, built field by field."""
    event = event_pb2.RunEvent(run_id=f"run_{base32(row['run_id'])}", seq=row["seq"], epoch=row["epoch"])
    event.create_time.FromDatetime(row["create_time"])
    payload = getattr(event, row["type"].replace(".", "_"))
    payload.SetInParent()
    payload.MergeFromString(row["payload"])
    return event
