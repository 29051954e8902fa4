-- The queue of runs. Executed by weft_queue, which may do nothing else; owned by weft_definer, which sees all tenants.
-- The tenant comes from the row of a run, never from who asks: an epoch that fits proves the right to write.

CREATE FUNCTION register_runner(p_runner uuid, p_host text, p_lease interval) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
AS $$ INSERT INTO runners (runner_id, host, lease_expire_time) VALUES (p_runner, p_host, weft_now() + p_lease) $$;

-- Renew a lease, also an expired one: runs that were taken over have another epoch. Returns false for an unknown runner.
CREATE FUNCTION heartbeat(p_runner uuid, p_lease interval) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  UPDATE runners SET lease_expire_time = weft_now() + p_lease WHERE runner_id = p_runner;
  RETURN FOUND;
END $$;

CREATE FUNCTION owned_runs(p_runner uuid)
RETURNS TABLE (tenant_id uuid, run_id uuid, epoch bigint, stop_requested boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
AS $$ SELECT tenant_id, run_id, epoch, cancel_time IS NOT NULL FROM runs WHERE owner = p_runner $$;

-- A message as the context needs it.
CREATE TYPE context_row AS (
  message_id uuid, turn bigint, index int, role text, content bytea, run_id uuid, step int, is_incomplete boolean
);
-- The run of a turn: tells which turns were answered together, and which output counts.
CREATE TYPE context_run AS (run_id uuid, turn bigint, state text, superseded_by uuid);

-- The newest whole turns of a thread up to a turn, within a budget of bytes; the turns from p_floor on always come.
CREATE FUNCTION context_start(p_tenant uuid, p_thread uuid, p_turn bigint, p_floor bigint, p_budget bigint) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
DECLARE m record; v_total bigint := 0; v_start bigint := p_floor;
BEGIN
  FOR m IN SELECT turn, octet_length(content) AS bytes FROM messages
      WHERE tenant_id = p_tenant AND thread_id = p_thread AND turn <= p_turn ORDER BY turn DESC, index DESC LOOP
    v_total := v_total + m.bytes;
    IF v_total > p_budget AND m.turn < p_floor THEN
      v_start := least(m.turn + 1, p_floor);
      EXIT;
    END IF;
    v_start := least(m.turn, p_floor);
  END LOOP;
  -- Turns that were answered together come together: a superseded run before the start was answered after it.
  WHILE v_start < p_floor AND EXISTS (SELECT FROM runs
      WHERE tenant_id = p_tenant AND thread_id = p_thread AND turn = v_start - 1 AND state = 'superseded') LOOP
    v_start := v_start + 1;
  END LOOP;
  RETURN v_start;
END $$;

-- One place reads the context of a run: claim, and ReadContext.
CREATE FUNCTION run_context(p_tenant uuid, p_run uuid, OUT messages context_row[], OUT runs context_run[])
LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE r runs; v_floor bigint; v_start bigint; v_budget bigint;
BEGIN
  SELECT * INTO r FROM runs WHERE tenant_id = p_tenant AND run_id = p_run;
  SELECT context_bytes INTO v_budget FROM agent_versions
    WHERE tenant_id = p_tenant AND agent_version_id = r.agent_version_id;
  SELECT min(m.turn) INTO v_floor FROM run_inputs i JOIN messages m USING (tenant_id, message_id)
    WHERE i.tenant_id = p_tenant AND i.run_id = p_run;
  v_start := context_start(p_tenant, r.thread_id, r.turn, v_floor, v_budget);
  SELECT coalesce(array_agg((m.message_id, m.turn, m.index, m.role, m.content, m.run_id, m.step, m.is_incomplete)::context_row
      ORDER BY m.turn, m.index), '{}') INTO messages
    FROM messages m WHERE m.tenant_id = p_tenant AND m.thread_id = r.thread_id AND m.turn BETWEEN v_start AND r.turn;
  SELECT coalesce(array_agg((x.run_id, x.turn, x.state, x.superseded_by)::context_run), '{}') INTO runs
    FROM runs x WHERE x.tenant_id = p_tenant AND x.thread_id = r.thread_id AND x.turn BETWEEN v_start AND r.turn;
END $$;

-- The payload of an event: StepStarted.
CREATE FUNCTION step_started(p_step int, p_attempt int, p_message uuid) RETURNS bytea LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN RETURN pb_int(1, p_step) || pb_int(2, p_attempt) || pb_text(3, id_text('msg', p_message)); END $$;

-- Begin an attempt at a model call.
CREATE FUNCTION begin_step(p_run runs, p_step int, p_attempt int, p_message uuid) RETURNS logged
LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO run_steps (tenant_id, run_id, step, attempt, epoch, message_id)
    VALUES (p_run.tenant_id, p_run.run_id, p_step, p_attempt, p_run.epoch, p_message);
  UPDATE runs SET model_calls = model_calls + 1 WHERE tenant_id = p_run.tenant_id AND run_id = p_run.run_id;
  RETURN write_event(p_run.tenant_id, p_run.run_id, 'step.started', step_started(p_step, p_attempt, p_message));
END $$;

-- A candidate for a claim: a run whose runner is gone, or the oldest ready one. Its thread row is locked.
CREATE FUNCTION lock_candidate(OUT tenant_id uuid, OUT run_id uuid) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE v_now timestamptz := weft_now(); v_reclaim boolean;
BEGIN
  SELECT stamp_time > v_now - interval '1 second' AND reclaim_time <= v_now INTO v_reclaim FROM reaper;
  IF v_reclaim THEN
    SELECT r.tenant_id, r.run_id INTO tenant_id, run_id FROM runners o
      JOIN runs r ON r.owner = o.runner_id
      JOIN threads t ON t.tenant_id = r.tenant_id AND t.thread_id = r.thread_id
      WHERE o.lease_expire_time < v_now
      LIMIT 1 FOR NO KEY UPDATE OF t SKIP LOCKED;
  END IF;
  IF run_id IS NULL THEN
    SELECT r.tenant_id, r.run_id INTO tenant_id, run_id FROM runs r
      JOIN threads t ON t.tenant_id = r.tenant_id AND t.thread_id = r.thread_id
      WHERE r.ready_time <= v_now
      ORDER BY r.ready_time LIMIT 1 FOR NO KEY UPDATE OF t SKIP LOCKED;
  END IF;
END $$;

-- Lock the candidate's row and look again: what was read before the thread was locked may be old. NULL when it is, or
-- when somebody appends to it at this moment: waiting for that row could deadlock with a batch of appends.
CREATE FUNCTION lock_claimable(p_tenant uuid, p_run uuid) RETURNS runs LANGUAGE plpgsql AS $$
DECLARE r runs; v_now timestamptz := weft_now();
BEGIN
  SELECT * INTO r FROM runs WHERE tenant_id = p_tenant AND run_id = p_run FOR NO KEY UPDATE SKIP LOCKED;
  IF r.ready_time <= v_now THEN
    RETURN r;
  ELSIF r.owner IS NOT NULL THEN
    PERFORM FROM runners WHERE runner_id = r.owner AND lease_expire_time >= v_now;
    IF NOT FOUND THEN
      RETURN r;
    END IF;
  END IF;
  RETURN NULL;
END $$;

-- Take up one run for a runner whose lease lives. p_message is the id for the message of the step that this begins.
-- `outcome`: claimed; none; stale: ask again, in a new transaction that holds no locks; unknown_runner; lease_expired.
-- `waited`: for how long the run could have been claimed; NULL when it was taken from a runner that is gone.
-- `has_more`: another claim may find one. The run's row is written once: each further version of it costs.
CREATE FUNCTION claim_run(p_runner uuid, p_message uuid, OUT outcome text, OUT run runs, OUT events logged[],
  OUT finished_steps int, OUT begun_step int, OUT begun_attempt int, OUT messages context_row[], OUT runs context_run[],
  OUT has_more boolean, OUT waited interval, OUT wants_title boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
  c record; r runs; s run_steps; v_lease timestamptz; v_now timestamptz; v_is_first boolean; v_was_running boolean;
  v_is_cut boolean := false; v_types text[]; v_payloads bytea[];
BEGIN
  events := '{}'; outcome := 'none'; has_more := false;
  SELECT lease_expire_time INTO v_lease FROM runners WHERE runner_id = p_runner;
  IF NOT FOUND THEN
    outcome := 'unknown_runner'; RETURN;
  ELSIF v_lease <= weft_now() THEN
    outcome := 'lease_expired'; RETURN;
  END IF;
  SELECT * INTO c FROM lock_candidate();
  IF c.run_id IS NULL THEN
    RETURN;
  END IF;
  r := lock_claimable(c.tenant_id, c.run_id);
  IF r.run_id IS NULL THEN
    outcome := 'stale'; RETURN;
  END IF;
  v_now := weft_now();
  waited := v_now - r.ready_time;
  v_is_first := r.start_time IS NULL;
  v_was_running := r.state = 'running';
  v_types := ARRAY[CASE WHEN v_is_first THEN 'run.started' ELSE 'run.resumed' END];
  v_payloads := ARRAY[pb_int(1, r.attempt + 1)];

  finished_steps := 0;
  IF r.epoch > 0 THEN  -- else nobody has begun a step
    SELECT count(*) INTO finished_steps FROM run_steps
      WHERE tenant_id = r.tenant_id AND run_id = r.run_id AND state = 'succeeded';
    SELECT * INTO s FROM run_steps
      WHERE tenant_id = r.tenant_id AND run_id = r.run_id ORDER BY step DESC, attempt DESC LIMIT 1;
    v_is_cut := coalesce(s.state = 'started', false);
  END IF;
  IF v_is_cut THEN
    UPDATE run_steps SET state = 'cut', end_time = v_now, error = 'the runner was lost'
      WHERE tenant_id = r.tenant_id AND run_id = r.run_id AND step = s.step AND attempt = s.attempt;
    v_types := v_types || 'message.discarded'::text;
    v_payloads := v_payloads || pb_text(1, id_text('msg', s.message_id));
  END IF;
  -- After a succeeded step its tool calls come first. A run that is to stop begins nothing.
  IF s.state IS DISTINCT FROM 'succeeded' AND r.cancel_time IS NULL THEN
    begun_step := coalesce(s.step, 1); begun_attempt := coalesce(s.attempt, 0) + 1;
    v_types := v_types || 'step.started'::text;
    v_payloads := v_payloads || step_started(begun_step, begun_attempt, p_message);
  END IF;

  UPDATE runs SET state = 'running', owner = p_runner, epoch = epoch + 1, attempt = attempt + 1, ready_time = NULL,
      wake_time = NULL, start_time = coalesce(start_time, v_now), last_seq = last_seq + cardinality(v_types),
      model_calls = model_calls + (begun_step IS NOT NULL)::int,
      unmetered_model_calls = unmetered_model_calls + v_is_cut::int,
      deadline_time = CASE WHEN v_was_running THEN deadline_time ELSE v_now + coalesce(run_remaining, run_timeout) END
    WHERE tenant_id = r.tenant_id AND run_id = r.run_id RETURNING * INTO r;
  events := store_events(r, v_types, v_payloads, v_now);
  IF v_is_first THEN
    PERFORM write_thread_event(r.tenant_id, r.thread_id, 'run.started', r.run_id, NULL, events[1].seq);
  END IF;
  IF begun_step IS NOT NULL THEN
    INSERT INTO run_steps (tenant_id, run_id, step, attempt, epoch, message_id)
      VALUES (r.tenant_id, r.run_id, begun_step, begun_attempt, r.epoch, p_message);
  END IF;
  SELECT x.messages, x.runs INTO messages, runs FROM run_context(r.tenant_id, r.run_id) x;
  run := r;
  -- Who lost a runner has lost all that it had.
  -- No run before it has succeeded, so this may be the first that does.
  wants_title := NOT EXISTS (SELECT FROM runs x WHERE x.tenant_id = r.tenant_id AND x.thread_id = r.thread_id
      AND x.turn < r.turn AND x.state = 'succeeded')
    AND EXISTS (SELECT FROM threads t WHERE t.tenant_id = r.tenant_id AND t.thread_id = r.thread_id AND NOT t.is_title_edited);
  has_more := v_was_running OR EXISTS (SELECT FROM runs WHERE ready_time <= v_now);
  outcome := 'claimed';
END $$;

-- The arguments of commit_entry that belong together.
CREATE TYPE step_end AS (
  step int, attempt int, is_succeeded boolean, input_tokens bigint, output_tokens bigint, cached_input_tokens bigint,
  error text, discard_message boolean, model text, cost_micros bigint
);
CREATE TYPE new_message AS (
  message_id uuid, step int, role text, content bytea, is_incomplete boolean, event_type text, event_payload bytea
);
CREATE TYPE transition AS (
  asked text, payload bytea, finish text, failure bytea, waiting_reason text, wake_after interval, model_closed_ago interval
);

CREATE FUNCTION finish_step(p_run runs, p_end step_end) RETURNS logged[] LANGUAGE plpgsql AS $$
DECLARE v_message uuid;
BEGIN
  UPDATE run_steps SET state = CASE WHEN p_end.is_succeeded THEN 'succeeded' ELSE 'failed' END, end_time = weft_now(),
      input_tokens = p_end.input_tokens, output_tokens = p_end.output_tokens,
      cached_input_tokens = p_end.cached_input_tokens, error = nullif(p_end.error, ''),
      model = nullif(p_end.model, ''), cost_micros = p_end.cost_micros
    WHERE tenant_id = p_run.tenant_id AND run_id = p_run.run_id AND step = p_end.step AND attempt = p_end.attempt
      AND state = 'started' RETURNING message_id INTO v_message;
  IF NOT FOUND THEN
    -- The same entry again, when it had written no event that would have moved the seq.
    PERFORM FROM run_steps WHERE tenant_id = p_run.tenant_id AND run_id = p_run.run_id AND step = p_end.step
      AND attempt = p_end.attempt AND epoch = p_run.epoch;
    IF FOUND THEN
      RETURN '{}';
    END IF;
    RAISE EXCEPTION USING ERRCODE = 'WF002', MESSAGE = format('step %s.%s was never begun', p_end.step, p_end.attempt);
  END IF;
  UPDATE runs SET input_tokens = input_tokens + coalesce(p_end.input_tokens, 0),
      output_tokens = output_tokens + coalesce(p_end.output_tokens, 0),
      cached_input_tokens = cached_input_tokens + coalesce(p_end.cached_input_tokens, 0),
      unmetered_model_calls = unmetered_model_calls + (p_end.input_tokens IS NULL)::int,
      unpriced_model_calls = unpriced_model_calls + (p_end.input_tokens IS NOT NULL AND p_end.cost_micros IS NULL)::int,
      cost_micros = cost_micros + coalesce(p_end.cost_micros, 0)
    WHERE tenant_id = p_run.tenant_id AND run_id = p_run.run_id;
  IF p_end.discard_message THEN
    RETURN ARRAY[write_event(p_run.tenant_id, p_run.run_id, 'message.discarded', pb_text(1, id_text('msg', v_message)))];
  END IF;
  RETURN '{}';
END $$;

-- Store messages behind those of the run's turn, each with its event.
CREATE FUNCTION add_messages(p_run runs, p_messages new_message[], p_is_answer boolean) RETURNS logged[]
LANGUAGE plpgsql AS $$
DECLARE m new_message; v_index int; v_events logged[] := '{}'; v_incomplete boolean;
BEGIN
  SELECT coalesce(max(index), -1) INTO v_index FROM messages
    WHERE tenant_id = p_run.tenant_id AND thread_id = p_run.thread_id AND turn = p_run.turn;
  FOREACH m IN ARRAY p_messages LOOP
    v_index := v_index + 1;
    v_incomplete := m.is_incomplete OR (m.role = 'assistant' AND NOT p_is_answer);
    INSERT INTO messages (tenant_id, message_id, thread_id, turn, index, role, content, is_incomplete, run_id, step, created_by)
      VALUES (p_run.tenant_id, m.message_id, p_run.thread_id, p_run.turn, v_index, m.role, m.content, v_incomplete,
        p_run.run_id, m.step, id_text('agt', p_run.agent_id));
    v_events := v_events || CASE
      WHEN m.role = 'tool' THEN write_event(p_run.tenant_id, p_run.run_id, m.event_type, m.event_payload)
      ELSE write_event(p_run.tenant_id, p_run.run_id,
        CASE WHEN v_incomplete THEN 'message.incomplete' ELSE 'message.completed' END, pb_text(1, id_text('msg', m.message_id)))
      END;
  END LOOP;
  RETURN v_events;
END $$;

-- Park a run: it keeps its turn and its thread, and holds no runner.
CREATE FUNCTION wait_run(p_run runs, p_to transition) RETURNS logged LANGUAGE plpgsql AS $$
DECLARE v_now timestamptz := weft_now();
BEGIN
  UPDATE runs SET state = 'waiting', waiting_reason = p_to.waiting_reason, owner = NULL,
      run_remaining = greatest(deadline_time - v_now, '0'), deadline_time = v_now + interval '7 days',
      wake_time = v_now + p_to.wake_after
    WHERE tenant_id = p_run.tenant_id AND run_id = p_run.run_id;
  RETURN write_event(p_run.tenant_id, p_run.run_id, 'run.waiting', p_to.payload);
END $$;

-- Write one entry of a runner's Commit that holds more than plain events, in its own transaction. Nothing is written
-- when the epoch or the seq is another: `state`, `epoch` and `last_seq` tell the caller why.
CREATE FUNCTION commit_entry(p_tenant uuid, p_run uuid, p_epoch bigint, p_expected bigint, p_types text[],
  p_payloads bytea[], p_end step_end, p_messages new_message[], p_begin_step int, p_begin_attempt int, p_begin_message uuid,
  p_to transition, OUT state text, OUT epoch bigint, OUT last_seq bigint, OUT stop_requested boolean,
  OUT begun_message uuid, OUT is_ready boolean, OUT events logged[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE r runs; v_thread uuid; v_will text;
BEGIN
  events := '{}'; is_ready := false;
  IF p_to.asked IS NOT NULL THEN
    SELECT thread_id INTO v_thread FROM runs WHERE tenant_id = p_tenant AND run_id = p_run;
    PERFORM FROM threads WHERE tenant_id = p_tenant AND thread_id = v_thread FOR NO KEY UPDATE;
  END IF;
  SELECT * INTO r FROM runs WHERE tenant_id = p_tenant AND run_id = p_run FOR NO KEY UPDATE;
  IF r.epoch = p_epoch AND r.last_seq = p_expected AND r.state = 'running' THEN
    events := events || write_events(p_tenant, p_run, p_types, p_payloads);
    IF p_end.step IS NOT NULL THEN
      events := events || finish_step(r, p_end);
    END IF;
    v_will := CASE WHEN p_to.asked = 'succeeded' THEN (SELECT o.state FROM outcome_of(r, p_to.asked) o) END;
    events := events || add_messages(r, p_messages, v_will IS NULL OR v_will = 'succeeded');
    IF p_begin_step IS NOT NULL THEN
      events := events || begin_step(r, p_begin_step, p_begin_attempt, p_begin_message);
    END IF;
    IF p_to.model_closed_ago IS NOT NULL THEN
      UPDATE runs SET model_closed_time = weft_now() - p_to.model_closed_ago WHERE tenant_id = p_tenant AND run_id = p_run;
    END IF;
    IF p_to.asked = 'cancelled' AND r.cancel_time IS NULL THEN
      RAISE EXCEPTION USING ERRCODE = 'WF002', MESSAGE = 'nobody asked this run to stop';
    ELSIF p_to.asked = 'waiting' AND r.cancel_time IS NULL THEN
      events := events || wait_run(r, p_to);
    ELSIF p_to.asked IS NOT NULL THEN
      events := events || end_run(p_tenant, p_run, CASE p_to.asked WHEN 'waiting' THEN 'cancelled' ELSE p_to.asked END,
        p_to.payload, p_to.finish, p_to.failure);
      is_ready := set_head(p_tenant, r.thread_id);
    END IF;
    SELECT * INTO r FROM runs WHERE tenant_id = p_tenant AND run_id = p_run;
  END IF;
  state := r.state; epoch := r.epoch; last_seq := r.last_seq; stop_requested := r.cancel_time IS NOT NULL;
  SELECT message_id INTO begun_message FROM run_steps
    WHERE tenant_id = p_tenant AND run_id = p_run AND step = p_begin_step AND attempt = p_begin_attempt AND epoch = p_epoch;
END $$;

-- Give a run back: it stays running, without an owner, and the next claim takes it, before younger ones. Not counted as
-- an attempt.
CREATE FUNCTION release_run(p_runner uuid, p_tenant uuid, p_run uuid, p_epoch bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  UPDATE runs SET owner = NULL, attempt = attempt - 1, ready_time = create_time
    WHERE tenant_id = p_tenant AND run_id = p_run AND epoch = p_epoch AND owner = p_runner AND state = 'running';
  RETURN FOUND;
END $$;

-- Stamp the reaper's row. After a gap of more than a second, nothing is taken over for the length of a lease.
CREATE FUNCTION stamp_reaper(p_lease interval) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE v_stamp timestamptz; v_now timestamptz;
BEGIN
  SELECT stamp_time INTO v_stamp FROM reaper FOR NO KEY UPDATE;
  v_now := weft_now();  -- after the lock: another replica may have stamped while we waited
  UPDATE reaper SET stamp_time = greatest(v_stamp, v_now),
    reclaim_time = CASE WHEN v_stamp < v_now - interval '1 second' THEN v_now + p_lease ELSE reclaim_time END;
END $$;

-- What the reaper has to do: wake a run, end one by its limit, end one that is to stop and that its runner did not stop
-- in time, or that has none.
CREATE FUNCTION due_runs(p_grace interval, p_limit int)
RETURNS TABLE (tenant_id uuid, thread_id uuid, run_id uuid, state text, duty text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE v_now timestamptz := weft_now();
BEGIN
  RETURN QUERY (SELECT r.tenant_id, r.thread_id, r.run_id, r.state, 'stop' FROM runs r
      WHERE r.cancel_time IS NOT NULL AND r.end_time IS NULL AND (r.owner IS NULL OR r.cancel_time < v_now - p_grace)
      ORDER BY r.cancel_time LIMIT p_limit)
    UNION ALL (SELECT r.tenant_id, r.thread_id, r.run_id, r.state, 'time_out' FROM runs r
      WHERE r.deadline_time < v_now AND (r.state <> 'running' OR r.deadline_time < v_now - p_grace)
      ORDER BY r.deadline_time LIMIT p_limit)
    UNION ALL (SELECT r.tenant_id, r.thread_id, r.run_id, r.state, 'wake' FROM runs r
      WHERE r.wake_time <= v_now ORDER BY r.wake_time LIMIT p_limit);
END $$;

-- How many runs could be claimed now: what the reaper rings for, should a bell have been lost.
CREATE FUNCTION claimable_runs(p_limit int) RETURNS int
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE v_now timestamptz := weft_now(); v_count int; v_dead int;
BEGIN
  SELECT count(*) INTO v_count FROM (SELECT FROM runs WHERE ready_time < v_now - interval '250 milliseconds' LIMIT p_limit) x;
  SELECT count(*) INTO v_dead FROM (SELECT FROM runners o JOIN runs r ON r.owner = o.runner_id
    JOIN reaper p ON p.reclaim_time <= v_now WHERE o.lease_expire_time < v_now LIMIT p_limit) x;
  RETURN least(v_count + v_dead, p_limit);
END $$;

-- How many runs wait for a runner, as far as p_limit, and for how long the oldest does.
CREATE FUNCTION queue_standing(p_limit int, OUT ready bigint, OUT oldest interval)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE v_now timestamptz := weft_now();
BEGIN
  SELECT count(*) INTO ready FROM (SELECT FROM runs WHERE ready_time <= v_now LIMIT p_limit) x;
  SELECT coalesce(v_now - min(ready_time), '0') INTO oldest FROM runs WHERE ready_time <= v_now;
END $$;

-- Wake a waiting run. The caller (the reaper) works for one tenant.
CREATE FUNCTION wake_run(p_tenant uuid, p_thread uuid, p_run uuid) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE v_now timestamptz;
BEGIN
  PERFORM FROM threads WHERE tenant_id = p_tenant AND thread_id = p_thread FOR NO KEY UPDATE;
  v_now := weft_now();
  UPDATE runs SET state = 'queued', waiting_reason = NULL, wake_time = NULL, deadline_time = v_now + queue_timeout
    WHERE tenant_id = p_tenant AND run_id = p_run AND state = 'waiting' AND wake_time <= v_now;
  RETURN FOUND AND set_head(p_tenant, p_thread);
END $$;

-- How far the logs of runs are.
CREATE FUNCTION run_heads(p_tenants uuid[], p_runs uuid[]) RETURNS TABLE (run_id uuid, last_seq bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT r.run_id, r.last_seq FROM unnest(p_tenants, p_runs) k(tenant_id, run_id)
    CROSS JOIN LATERAL (SELECT run_id, last_seq FROM runs WHERE tenant_id = k.tenant_id AND run_id = k.run_id LIMIT 1) r
$$;

-- How far the logs of threads are.
CREATE FUNCTION thread_heads(p_tenants uuid[], p_threads uuid[]) RETURNS TABLE (thread_id uuid, last_seq bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT t.thread_id, t.last_seq FROM unnest(p_tenants, p_threads) k(tenant_id, thread_id) CROSS JOIN LATERAL
    (SELECT thread_id, last_seq FROM threads WHERE tenant_id = k.tenant_id AND thread_id = k.thread_id LIMIT 1) t
$$;

-- Forget runners that died long ago and own nothing, idempotency rows past their time.
CREATE FUNCTION purge(p_limit int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE v_now timestamptz := weft_now(); v_count int;
BEGIN
  DELETE FROM runners o WHERE lease_expire_time < v_now - interval '1 hour'
    AND NOT EXISTS (SELECT FROM runs r WHERE r.owner = o.runner_id);
  DELETE FROM requests q USING (SELECT q.tenant_id, q.family, q.request_id FROM requests q
      LEFT JOIN runs r ON r.tenant_id = q.tenant_id AND r.run_id = q.run_id
      WHERE q.create_time < v_now - interval '24 hours'
        AND (q.run_id IS NULL OR r.run_id IS NULL OR r.end_time < v_now - interval '24 hours')
      ORDER BY q.create_time LIMIT p_limit) old
    WHERE q.tenant_id = old.tenant_id AND q.family = old.family AND q.request_id = old.request_id;
  GET DIAGNOSTICS v_count = ROW_COUNT;
  RETURN v_count;
END $$;
