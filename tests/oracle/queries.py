"""The invariants that the database alone decides: each query returns what violates it."""

from collections.abc import Mapping

TERMINAL = "('succeeded', 'failed', 'cancelled', 'timed_out', 'superseded')"

VIOLATIONS: Mapping[str, str] = {
    "I1 a run that ended has exactly one terminal event, its last": f"""
        SELECT r.run_id, r.state, r.last_seq, array_agg(e.seq) FILTER (WHERE e.is_terminal) AS terminal_seqs
        FROM runs r LEFT JOIN run_events e USING (tenant_id, run_id)
        GROUP BY r.tenant_id, r.run_id
        HAVING count(*) FILTER (WHERE e.is_terminal) <> (r.state IN {TERMINAL})::int
          OR (r.state IN {TERMINAL} AND max(e.seq) FILTER (WHERE e.is_terminal) <> r.last_seq)
    """,
    "I1 the terminal event tells the state": """
        SELECT r.run_id, r.state, e.type FROM runs r JOIN run_events e USING (tenant_id, run_id)
        WHERE e.is_terminal AND e.type <> 'run.' || r.state
    """,
    "I1 exactly the five terminal types are terminal": f"""
        SELECT run_id, seq, type FROM run_events WHERE is_terminal <> (replace(type, 'run.', '') IN {TERMINAL})
    """,
    "I3 seqs are 1 to last_seq without a gap": """
        SELECT r.run_id, r.last_seq, count(e.seq), min(e.seq), max(e.seq)
        FROM runs r LEFT JOIN run_events e USING (tenant_id, run_id) GROUP BY r.tenant_id, r.run_id
        HAVING count(e.seq) <> r.last_seq OR min(e.seq) <> 1 OR max(e.seq) <> r.last_seq
    """,
    "I3 seqs of threads have no gap": """
        SELECT t.thread_id, t.last_seq, count(e.seq)
        FROM threads t LEFT JOIN thread_events e USING (tenant_id, thread_id)
        GROUP BY t.tenant_id, t.thread_id HAVING count(e.seq) <> t.last_seq OR coalesce(max(e.seq), 0) <> t.last_seq
    """,
    "I3 epochs never go down": """
        SELECT * FROM (SELECT run_id, seq, epoch,
            lag(epoch) OVER (PARTITION BY tenant_id, run_id ORDER BY seq) AS before
          FROM run_events) e WHERE epoch < before
    """,
    "I5 no event has an epoch that the run never had": """
        SELECT e.run_id, e.seq, e.epoch, r.epoch FROM run_events e JOIN runs r USING (tenant_id, run_id)
        WHERE e.epoch > r.epoch
    """,
    "I5 an epoch begins with its take-up, or with a forced end": """
        SELECT * FROM (SELECT DISTINCT ON (tenant_id, run_id, epoch) run_id, epoch, seq, type FROM run_events
          ORDER BY tenant_id, run_id, epoch, seq) e
        WHERE epoch > 0 AND type NOT IN ('run.started', 'run.resumed', 'message.incomplete', 'run.cancelled',
          'run.superseded', 'run.timed_out')
    """,
    "I5 a run is taken up once in an epoch": """
        SELECT run_id, epoch, count(*) FROM run_events WHERE type IN ('run.started', 'run.resumed')
        GROUP BY tenant_id, run_id, epoch HAVING count(*) > 1
    """,
    "I5 no step is open in a run that has ended": f"""
        SELECT s.run_id, s.step, s.attempt FROM run_steps s JOIN runs r USING (tenant_id, run_id)
        WHERE s.state = 'started' AND r.state IN {TERMINAL}
    """,
    "I5 a step has one attempt that succeeded": """
        SELECT run_id, step, count(*) FROM run_steps WHERE state = 'succeeded' GROUP BY tenant_id, run_id, step
        HAVING count(*) > 1
    """,
    "I6 runs of a thread do not overlap": """
        SELECT a.run_id, b.run_id FROM runs a JOIN runs b USING (tenant_id, thread_id)
        WHERE a.turn < b.turn AND b.start_time IS NOT NULL AND (a.end_time IS NULL OR a.end_time > b.start_time)
    """,
    "I6 inputs of a superseded run are inputs of its successor": """
        SELECT r.run_id, r.superseded_by, i.message_id FROM runs r JOIN run_inputs i USING (tenant_id, run_id)
        WHERE r.state = 'superseded' AND NOT EXISTS (SELECT FROM run_inputs s
          WHERE s.tenant_id = r.tenant_id AND s.run_id = r.superseded_by AND s.message_id = i.message_id)
    """,
    "I6 an input is answered by one run only": """
        SELECT i.message_id, count(*) FROM run_inputs i JOIN runs r USING (tenant_id, run_id)
        WHERE r.state = 'succeeded' GROUP BY i.tenant_id, i.message_id HAVING count(*) > 1
    """,
    "I6 a superseded run names a later run of its thread": """
        SELECT r.run_id FROM runs r LEFT JOIN runs s ON s.tenant_id = r.tenant_id AND s.run_id = r.superseded_by
        WHERE r.state = 'superseded' AND (s.run_id IS NULL OR s.thread_id <> r.thread_id OR s.turn <= r.turn)
    """,
    "I6 the next run of an idle thread is ready": """
        SELECT r.run_id FROM runs r WHERE r.state = 'queued' AND r.ready_time IS NULL
          AND r.turn = (SELECT min(turn) FROM runs q
            WHERE q.tenant_id = r.tenant_id AND q.thread_id = r.thread_id AND q.state = 'queued')
          AND NOT EXISTS (SELECT FROM runs a
            WHERE a.tenant_id = r.tenant_id AND a.thread_id = r.thread_id AND a.state IN ('running', 'waiting'))
    """,
    "I6 a succeeded run has one complete answer, its last message": """
        SELECT r.run_id, count(m.message_id) FROM runs r LEFT JOIN messages m ON m.tenant_id = r.tenant_id
          AND m.run_id = r.run_id AND m.role = 'assistant' AND NOT m.is_incomplete
          AND m.index = (SELECT max(index) FROM messages x
            WHERE x.tenant_id = r.tenant_id AND x.thread_id = r.thread_id AND x.turn = r.turn)
        WHERE r.state = 'succeeded' GROUP BY r.tenant_id, r.run_id HAVING count(m.message_id) <> 1
    """,
    "I7 a call is journaled once": """
        SELECT execution_key, count(*) FROM tool_executions WHERE state <> 'denied'
        GROUP BY tenant_id, execution_key HAVING count(*) > 1
    """,
    "I7 an unknown outcome is told": """
        SELECT x.execution_key FROM tool_executions x JOIN runs r USING (tenant_id, run_id)
        WHERE x.state = 'unknown' AND r.state = 'succeeded' AND NOT EXISTS (SELECT FROM run_events e
          WHERE e.tenant_id = x.tenant_id AND e.run_id = x.run_id AND e.type = 'tool.failed')
    """,
}

NOT_ENDED = f"SELECT run_id, state, owner, ready_time FROM runs WHERE state NOT IN {TERMINAL}"
