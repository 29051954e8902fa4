"""I8: the log of a thread, in the database and as it was watched."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from oracle.ids import base32

MARKS = """
    SELECT r.*, array_agg(e.seq) FILTER (WHERE e.type = 'run.queued') AS queued,
      array_agg(e.seq) FILTER (WHERE e.type = 'run.started') AS started,
      array_agg(e.seq) FILTER (WHERE e.type = 'run.ended') AS ended,
      max(e.run_seq) FILTER (WHERE e.type = 'run.queued') AS queued_at,
      max(e.run_seq) FILTER (WHERE e.type = 'run.started') AS started_at,
      max(e.run_seq) FILTER (WHERE e.type = 'run.ended') AS ended_at
    FROM runs r LEFT JOIN thread_events e USING (tenant_id, thread_id, run_id) GROUP BY r.tenant_id, r.run_id
"""

THREAD_VIOLATIONS: Mapping[str, str] = {
    "I8 each run has its marks once, started only if it started": f"""
        SELECT run_id, state, queued, started, ended FROM ({MARKS}) m
        WHERE coalesce(cardinality(queued), 0) <> 1
          OR coalesce(cardinality(started), 0) <> (start_time IS NOT NULL)::int
          OR coalesce(cardinality(ended), 0) <> (end_time IS NOT NULL)::int
    """,
    "I8 the marks of a run stand in their order": f"""
        SELECT run_id, queued, started, ended FROM ({MARKS}) m
        WHERE started[1] < queued[1] OR ended[1] < queued[1] OR ended[1] < started[1]
    """,
    "I8 the marks of a run point at its events": f"""
        SELECT m.run_id, queued_at, started_at, ended_at FROM ({MARKS}) m
          LEFT JOIN run_events s ON s.tenant_id = m.tenant_id AND s.run_id = m.run_id AND s.seq = m.started_at
        WHERE queued_at <> 1 OR ended_at <> last_seq
          OR (started_at IS NOT NULL AND s.type IS DISTINCT FROM 'run.started')
    """,
    "I8 runs that started do not overlap in their thread's log": f"""
        SELECT a.run_id, b.run_id FROM ({MARKS}) a JOIN ({MARKS}) b USING (tenant_id, thread_id)
        WHERE a.started[1] < b.started[1] AND coalesce(a.ended[1] > b.started[1], true)
    """,
    "I8 each message from outside is created once in its thread's log": """
        SELECT m.message_id, count(e.seq) FROM messages m LEFT JOIN thread_events e
          ON e.tenant_id = m.tenant_id AND e.thread_id = m.thread_id AND e.message_id = m.message_id
            AND e.type = 'message.created'
        WHERE m.run_id IS NULL GROUP BY m.tenant_id, m.message_id HAVING count(e.seq) <> 1
    """,
    "I8 a deleted thread says so, as its last event": """
        SELECT t.thread_id, t.delete_time, t.last_seq, e.type FROM threads t
          LEFT JOIN thread_events e ON e.tenant_id = t.tenant_id AND e.thread_id = t.thread_id AND e.seq = t.last_seq
        WHERE (t.delete_time IS NOT NULL) <> coalesce(e.type = 'thread.deleted', false)
    """,
}


def differences(rows: Sequence[Any], items: Sequence[Any]) -> Iterator[str]:
    """Yield what a watcher saw of a thread from its first event otherwise than its log has it."""
    seen = [each.thread_event for each in items if each.HasField("thread_event")]
    if [event.seq for event in seen] != [row["seq"] for row in rows]:
        yield f"saw {[event.seq for event in seen]} of {len(rows)}"
        return
    yield from (f"{row['seq']}: {event}" for row, event in zip(rows, seen, strict=True) if not _is_of(row, event))
    yield from _misplaced(items)


def _is_of(row: Any, event: Any) -> bool:
    kind = event.WhichOneof("payload")
    payload = getattr(event, kind)
    if kind != row["type"].replace(".", "_"):
        return False
    if row["payload"] is not None:  # stored whole
        return bool(payload.SerializeToString(deterministic=True) == row["payload"])
    told = {
        "run_id": getattr(payload, "run_id", ""),
        "message_id": payload.message.message_id if kind == "message_created" else getattr(payload, "message_id", ""),
        "run_seq": payload.terminal_event.seq if kind == "run_ended" else getattr(payload, "run_seq", 0),
    }
    expected = {
        "run_id": f"run_{base32(row['run_id'])}" if row["run_id"] else "",
        "message_id": f"msg_{base32(row['message_id'])}" if row["message_id"] else "",
        "run_seq": row["run_seq"] if kind in ("run_started", "run_ended") else 0,
    }
    time = event.create_time.ToNanoseconds() // 1000
    since_1970 = row["create_time"].timestamp()
    return told == expected and abs(time / 1e6 - since_1970) < 1e-3


def _misplaced(items: Sequence[Any]) -> Iterator[str]:
    """Yield run events that do not stand between the marks of their run."""
    open_run = ""
    for item in items:
        if item.HasField("run_event"):
            if item.run_event.run_id != open_run:
                yield f"{item.run_event.run_id} {item.run_event.seq} while {open_run or 'no run'} was open"
        elif item.thread_event.HasField("run_started"):
            open_run = item.thread_event.run_started.run_id
        elif item.thread_event.HasField("run_ended") and item.thread_event.run_ended.run_id == open_run:
            open_run = ""
