-- The life of a thread's runs. These functions lock the thread row first, then run rows in id order; each ends with
-- set_head. They run under the role of their caller: weft_app (bound to one tenant) or, called from the queue's
-- functions, weft_definer.
--
-- Locks are FOR NO KEY UPDATE: a stronger one would wait for the KEY SHARE that the foreign keys of messages and steps
-- take, and deadlock with it. It excludes itself, which is what matters here.

-- An event as it was written: what the process that committed it publishes.
CREATE TYPE logged AS (
  tenant_id uuid, run_id uuid, seq bigint, epoch bigint, type text, is_terminal boolean, create_time timestamptz,
  payload bytea, thread_id uuid
);

-- A refusal ends the transaction, so that it leaves nothing behind. Python reads the reason from the message, and the
-- metadata of the error from the detail.
CREATE FUNCTION refuse(p_reason text, p_detail text DEFAULT '') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'WF001', MESSAGE = p_reason, DETAIL = p_detail;
END $$;

-- An id as text, as in weft_core.ids: base 32 of 130 bits, the first two of them zero.
CREATE FUNCTION id_text(p_prefix text, p_id uuid) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE v_bits bit varying := B'00' || ('x' || replace(p_id::text, '-', ''))::bit(128); v_text text := p_prefix || '_';
BEGIN
  FOR i IN 0..25 LOOP
    v_text := v_text || substr('0123456789abcdefghjkmnpqrstvwxyz', substring(v_bits FROM 1 + 5 * i FOR 5)::bit(5)::int + 1, 1);
  END LOOP;
  RETURN v_text;
END $$;

-- The few payloads that only SQL knows are made here, in protobuf's wire format: a tag (field number times 8, plus 0
-- for a varint and 2 for text), then the value. Numbers are below 2^14.
CREATE FUNCTION pb_varint(p_value int) RETURNS bytea LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
  IF p_value < 128 THEN
    RETURN set_byte('\x00'::bytea, 0, p_value);
  END IF;
  RETURN set_byte(set_byte('\x0000'::bytea, 0, p_value % 128 + 128), 1, p_value / 128);
END $$;
CREATE FUNCTION pb_int(p_field int, p_value int) RETURNS bytea LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN RETURN pb_varint(p_field * 8) || pb_varint(p_value); END $$;
CREATE FUNCTION pb_text(p_field int, p_value text) RETURNS bytea LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN RETURN pb_varint(p_field * 8 + 2) || pb_varint(octet_length(p_value)) || convert_to(p_value, 'UTF8'); END $$;

-- Write an event of a run whose row the caller has locked.
CREATE FUNCTION write_event(p_tenant uuid, p_run uuid, p_type text, p_payload bytea, p_is_terminal boolean DEFAULT false)
RETURNS logged LANGUAGE plpgsql AS $$
DECLARE v logged;
BEGIN
  UPDATE runs SET last_seq = last_seq + 1 WHERE tenant_id = p_tenant AND run_id = p_run
    RETURNING last_seq, epoch, thread_id INTO v.seq, v.epoch, v.thread_id;
  v.tenant_id := p_tenant; v.run_id := p_run; v.type := p_type; v.payload := p_payload;
  v.is_terminal := p_is_terminal; v.create_time := weft_now();
  INSERT INTO run_events (tenant_id, run_id, seq, epoch, type, is_terminal, create_time, payload)
    VALUES (v.tenant_id, v.run_id, v.seq, v.epoch, v.type, v.is_terminal, v.create_time, v.payload);
  RETURN v;
END $$;

-- Store events of a run that end at its last_seq, which the caller has moved.
CREATE FUNCTION store_events(p_run runs, p_types text[], p_payloads bytea[], p_now timestamptz) RETURNS logged[]
LANGUAGE plpgsql AS $$
DECLARE v logged[];
BEGIN
  WITH written AS (
    INSERT INTO run_events (tenant_id, run_id, seq, epoch, type, create_time, payload)
      SELECT p_run.tenant_id, p_run.run_id, p_run.last_seq - cardinality(p_types) + n, p_run.epoch, type, p_now, payload
      FROM unnest(p_types, p_payloads) WITH ORDINALITY e(type, payload, n) RETURNING *)
  SELECT array_agg((tenant_id, run_id, seq, epoch, type, is_terminal, create_time, payload, p_run.thread_id)::logged ORDER BY seq) INTO v
    FROM written;
  RETURN v;
END $$;

-- The same as write_event for several events at once.
CREATE FUNCTION write_events(p_tenant uuid, p_run uuid, p_types text[], p_payloads bytea[]) RETURNS logged[]
LANGUAGE plpgsql AS $$
DECLARE r runs;
BEGIN
  IF cardinality(p_types) = 0 THEN
    RETURN '{}';
  END IF;
  UPDATE runs SET last_seq = last_seq + cardinality(p_types) WHERE tenant_id = p_tenant AND run_id = p_run RETURNING * INTO r;
  RETURN store_events(r, p_types, p_payloads, weft_now());
END $$;

-- Write an event of a thread whose row the caller has locked.
CREATE FUNCTION write_thread_event(p_tenant uuid, p_thread uuid, p_type text, p_run uuid DEFAULT NULL,
  p_message uuid DEFAULT NULL, p_run_seq bigint DEFAULT NULL, p_payload bytea DEFAULT NULL) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE v_seq bigint;
BEGIN
  UPDATE threads SET last_seq = last_seq + 1 WHERE tenant_id = p_tenant AND thread_id = p_thread
    RETURNING last_seq INTO v_seq;
  INSERT INTO thread_events (tenant_id, thread_id, seq, type, run_id, message_id, run_seq, payload)
    VALUES (p_tenant, p_thread, v_seq, p_type, p_run, p_message, p_run_seq, p_payload);
END $$;

-- Make the next run of a thread claimable, if none is active. Returns whether it did, so that the caller rings.
CREATE FUNCTION set_head(p_tenant uuid, p_thread uuid) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE v_run uuid; v_ready timestamptz;
BEGIN
  PERFORM FROM runs WHERE tenant_id = p_tenant AND thread_id = p_thread AND state IN ('running', 'waiting');
  IF FOUND THEN
    RETURN false;
  END IF;
  SELECT run_id, ready_time INTO v_run, v_ready FROM runs
    WHERE tenant_id = p_tenant AND thread_id = p_thread AND state = 'queued' ORDER BY turn LIMIT 1;
  IF v_run IS NULL OR v_ready IS NOT NULL THEN
    RETURN false;
  END IF;
  UPDATE runs SET ready_time = weft_now() WHERE tenant_id = p_tenant AND run_id = v_run;
  RETURN true;
END $$;

-- What a run that somebody wants to end really becomes: deleted, superseded, cancelled, asked. A run whose successor
-- ended without a chance to answer is cancelled with it.
CREATE FUNCTION outcome_of(p_run runs, p_asked text, OUT state text, OUT cause int) LANGUAGE plpgsql STABLE AS $$
DECLARE v_state text;
BEGIN
  PERFORM FROM threads WHERE tenant_id = p_run.tenant_id AND thread_id = p_run.thread_id AND delete_time IS NOT NULL;
  IF FOUND THEN
    state := 'cancelled'; cause := 2;
  ELSIF p_run.superseded_by IS NOT NULL THEN
    SELECT r.state INTO v_state FROM runs r WHERE tenant_id = p_run.tenant_id AND run_id = p_run.superseded_by;
    IF v_state IN ('cancelled', 'timed_out') THEN
      state := 'cancelled'; cause := 3;
    ELSE
      state := 'superseded';
    END IF;
  ELSIF p_run.cancel_time IS NOT NULL OR p_asked = 'cancelled' THEN
    state := 'cancelled'; cause := 1;
  ELSE
    state := p_asked;
  END IF;
END $$;

-- End a run whose thread row and row the caller has locked. Every end of a run goes through here. `p_payload` belongs
-- to `p_asked`, and is not used when the run becomes something else; those payloads are one field each, so they are
-- made here: only here is it known which one. Returns NULL when the run has ended before.
CREATE FUNCTION end_run(p_tenant uuid, p_run uuid, p_asked text, p_payload bytea DEFAULT '', p_finish text DEFAULT NULL,
  p_failure bytea DEFAULT NULL) RETURNS logged LANGUAGE plpgsql AS $$
DECLARE r runs; v_state text; v_cause int; v logged; v_payload bytea; v_cut int;
BEGIN
  SELECT * INTO r FROM runs WHERE tenant_id = p_tenant AND run_id = p_run FOR NO KEY UPDATE;
  IF r.end_time IS NOT NULL THEN
    RETURN NULL;
  END IF;
  SELECT o.state, o.cause INTO v_state, v_cause FROM outcome_of(r, p_asked) o;
  v_payload := CASE v_state
    WHEN 'cancelled' THEN pb_int(1, v_cause)                             -- RunCancelled.cause
    WHEN 'superseded' THEN pb_text(1, id_text('run', r.superseded_by))   -- RunSuperseded.successor_run_id
    ELSE p_payload END;
  UPDATE run_steps SET state = 'cut', end_time = weft_now()
    WHERE tenant_id = p_tenant AND run_id = p_run AND state = 'started';
  GET DIAGNOSTICS v_cut = ROW_COUNT;
  UPDATE runs SET state = v_state, end_time = weft_now(), owner = NULL, ready_time = NULL, deadline_time = NULL,
      wake_time = NULL, waiting_reason = NULL, unmetered_model_calls = unmetered_model_calls + v_cut,
      finish = CASE v_state WHEN 'succeeded' THEN p_finish END,
      failure = CASE v_state WHEN 'failed' THEN p_failure END
    WHERE tenant_id = p_tenant AND run_id = p_run;
  v := write_event(p_tenant, p_run, 'run.' || v_state, v_payload, true);
  PERFORM write_thread_event(p_tenant, r.thread_id, 'run.ended', p_run, NULL, v.seq);
  RETURN v;
END $$;

-- Take over every run of a thread that has not ended: waiting ones end at once, the running one is told to stop.
CREATE FUNCTION supersede_runs(p_tenant uuid, p_thread uuid, p_successor uuid, OUT events logged[], OUT owner uuid,
  OUT stopped uuid, OUT stopped_epoch bigint, OUT is_merged boolean) LANGUAGE plpgsql AS $$
DECLARE r runs;
BEGIN
  events := '{}'; is_merged := false;
  FOR r IN SELECT * FROM runs WHERE tenant_id = p_tenant AND thread_id = p_thread AND run_id <> p_successor
      AND state IN ('queued', 'running', 'waiting') ORDER BY run_id FOR NO KEY UPDATE LOOP
    is_merged := true;
    INSERT INTO run_inputs (tenant_id, run_id, message_id)
      SELECT p_tenant, p_successor, i.message_id FROM run_inputs i WHERE i.tenant_id = p_tenant AND i.run_id = r.run_id
      ON CONFLICT DO NOTHING;
    UPDATE runs SET superseded_by = p_successor,
        cancel_time = CASE WHEN r.state = 'running' THEN coalesce(r.cancel_time, weft_now()) END
      WHERE tenant_id = p_tenant AND run_id = r.run_id;
    IF r.state = 'running' THEN
      owner := r.owner; stopped := r.run_id; stopped_epoch := r.epoch;
    ELSE
      events := events || end_run(p_tenant, r.run_id, 'superseded');
    END IF;
  END LOOP;
END $$;

-- A file that comes with a message.
CREATE TYPE new_attachment AS (attachment_id uuid, name text, sha256 bytea, content bytea);

-- Store a message and the run that answers it. One round trip, one commit.
-- p_thread is NULL for a new thread, whose id will be p_new_thread; p_attachments is NULL where there are none. Answers
-- of repeated requests come from their row.
CREATE FUNCTION initiate_run(p_tenant uuid, p_principal text, p_request_id text, p_digest bytea, p_thread uuid,
  p_new_thread uuid, p_agent uuid, p_project uuid, p_strategy text, p_run uuid, p_message uuid, p_content bytea,
  p_title text, p_queued bytea, p_trace text, p_attachments new_attachment[],
  OUT project_id uuid, OUT thread_id uuid, OUT run_id uuid, OUT message_id uuid, OUT agent_id uuid,
  OUT queue_position int, OUT is_merged boolean, OUT is_new boolean, OUT is_ready boolean, OUT owner uuid,
  OUT stopped uuid, OUT stopped_epoch bigint, OUT queued_time timestamptz, OUT events logged[])
-- Every statement goes by keys: making plans for the arguments of each call costs more than running them.
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE t tenants; th threads; a record; q requests; v_strategy text; v_busy uuid; v_queued int; v_now timestamptz; s record;
BEGIN
  PERFORM set_config('weft.tenant', p_tenant::text, true);
  v_now := weft_now(); queued_time := v_now;
  events := '{}'; is_merged := false; is_new := true; is_ready := false;
  IF p_request_id IS NOT NULL THEN
    -- First, so that a concurrent twin waits here and then reads what this call made.
    INSERT INTO requests (tenant_id, request_id, digest, run_id) VALUES (p_tenant, p_request_id, p_digest, p_run)
      ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
      SELECT * INTO q FROM requests WHERE tenant_id = p_tenant AND family = 'run' AND request_id = p_request_id;
      IF q.run_id IS NULL THEN
        PERFORM refuse('REQUEST_CANCELLED');
      ELSIF q.digest <> p_digest THEN
        PERFORM refuse('REQUEST_ID_REUSED');
      END IF;
      project_id := q.project_id; thread_id := q.thread_id; run_id := q.run_id; message_id := q.message_id;
      agent_id := q.agent_id; queue_position := q.queue_position; is_merged := q.is_merged; is_new := false;
      RETURN;
    END IF;
  END IF;

  SELECT * INTO t FROM tenants WHERE tenant_id = p_tenant;
  IF p_thread IS NOT NULL THEN
    SELECT * INTO th FROM threads WHERE tenant_id = p_tenant AND thread_id = p_thread AND delete_time IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN
      PERFORM refuse('THREAD_NOT_FOUND');
    ELSIF p_project IS NOT NULL AND p_project <> th.project_id THEN
      PERFORM refuse('PROJECT_MISMATCH', id_text('prj', th.project_id));
    END IF;
  END IF;
  SELECT g.agent_id, v.agent_version_id, v.busy_strategy, v.run_timeout, v.queue_timeout INTO a
    FROM agents g JOIN agent_versions v ON v.tenant_id = g.tenant_id AND v.agent_version_id = g.current_version_id
    WHERE g.tenant_id = p_tenant AND g.agent_id = coalesce(p_agent, th.agent_id, t.default_agent_id)
      AND g.delete_time IS NULL;
  IF NOT FOUND THEN
    PERFORM refuse('AGENT_NOT_FOUND');
  END IF;

  IF p_thread IS NULL THEN
    th.project_id := coalesce(p_project, t.default_project_id);
    PERFORM FROM projects WHERE tenant_id = p_tenant AND project_id = th.project_id AND delete_time IS NULL
      FOR SHARE;  -- so that no project is deleted beside it
    IF NOT FOUND THEN
      PERFORM refuse('PROJECT_NOT_FOUND');
    ELSIF (SELECT coalesce(sum(threads), 0) FROM thread_counts WHERE tenant_id = p_tenant) >= t.max_threads THEN
      PERFORM refuse('THREAD_LIMIT', t.max_threads::text);
    END IF;
    th.thread_id := p_new_thread; th.last_turn := 1;
    INSERT INTO threads (tenant_id, thread_id, project_id, agent_id, title, last_turn, last_seq, created_by, create_time, update_time)
      VALUES (p_tenant, p_new_thread, th.project_id, a.agent_id, p_title, 1, 2, p_principal, v_now, v_now);
    th.last_seq := 2;
    v_queued := 0;
  ELSE
    v_strategy := coalesce(p_strategy, a.busy_strategy);
    SELECT run_id INTO v_busy FROM runs WHERE tenant_id = p_tenant AND thread_id = p_thread
      AND state IN ('running', 'waiting');
    SELECT count(*) INTO v_queued FROM runs WHERE tenant_id = p_tenant AND thread_id = p_thread AND state = 'queued';
    IF v_strategy = 'reject' AND (v_busy IS NOT NULL OR v_queued > 0) THEN
      PERFORM refuse('THREAD_BUSY', id_text('run', coalesce(v_busy, (SELECT run_id FROM runs WHERE tenant_id = p_tenant
        AND thread_id = p_thread AND state = 'queued' ORDER BY turn LIMIT 1))));
    ELSIF v_strategy = 'enqueue' AND (v_busy IS NOT NULL OR v_queued > 0) AND v_queued >= t.max_queued_runs_per_thread THEN
      PERFORM refuse('THREAD_QUEUE_FULL', t.max_queued_runs_per_thread::text);
    END IF;
    UPDATE threads SET last_turn = last_turn + 1, last_seq = last_seq + 2, update_time = v_now,
        title = CASE WHEN title = '' AND NOT is_title_edited THEN p_title ELSE title END
      WHERE tenant_id = p_tenant AND thread_id = p_thread RETURNING last_turn, last_seq INTO th.last_turn, th.last_seq;
  END IF;

  queue_position := v_queued + (v_busy IS NOT NULL)::int;
  IF queue_position = 0 AND (SELECT count(*) FROM (SELECT FROM runs WHERE tenant_id = p_tenant
      AND state IN ('running', 'waiting') LIMIT t.max_active_runs) x) >= t.max_active_runs THEN
    PERFORM refuse('ACTIVE_RUN_LIMIT', t.max_active_runs::text);  -- a busy thread adds no active run
  END IF;
  INSERT INTO messages (tenant_id, message_id, thread_id, turn, index, role, content, created_by, create_time)
    VALUES (p_tenant, p_message, th.thread_id, th.last_turn, 0, 'user', p_content, p_principal, v_now);
  IF p_attachments IS NOT NULL THEN
    INSERT INTO attachments (tenant_id, attachment_id, thread_id, message_id, name, size_bytes, sha256, content,
        created_by, create_time)
      SELECT p_tenant, f.attachment_id, th.thread_id, p_message, f.name, length(f.content), f.sha256, f.content,
        p_principal, v_now FROM unnest(p_attachments) f;
  END IF;
  INSERT INTO runs (tenant_id, run_id, thread_id, project_id, agent_id, agent_version_id, request_id, turn, last_seq,
      run_timeout, queue_timeout, deadline_time, ready_time, created_by, create_time, trace_parent)
    VALUES (p_tenant, p_run, th.thread_id, th.project_id, a.agent_id, a.agent_version_id, p_request_id, th.last_turn, 1,
      a.run_timeout, a.queue_timeout, v_now + a.queue_timeout, CASE queue_position WHEN 0 THEN v_now END, p_principal, v_now,
      p_trace);
  INSERT INTO run_inputs VALUES (p_tenant, p_run, p_message);
  INSERT INTO run_events (tenant_id, run_id, seq, epoch, type, create_time, payload)
    VALUES (p_tenant, p_run, 1, 0, 'run.queued', v_now, p_queued);
  INSERT INTO thread_events (tenant_id, thread_id, seq, type, run_id, message_id, run_seq, create_time)
    VALUES (p_tenant, th.thread_id, th.last_seq - 1, 'message.created', NULL, p_message, NULL, v_now),
           (p_tenant, th.thread_id, th.last_seq, 'run.queued', p_run, p_message, 1, v_now);

  is_ready := queue_position = 0;
  IF queue_position > 0 AND v_strategy = 'merge' THEN
    SELECT * INTO s FROM supersede_runs(p_tenant, th.thread_id, p_run);
    events := s.events; owner := s.owner; stopped := s.stopped; stopped_epoch := s.stopped_epoch; is_merged := s.is_merged;
    queue_position := (s.stopped IS NOT NULL)::int;
    is_ready := set_head(p_tenant, th.thread_id);
  END IF;
  IF p_thread IS NULL THEN
    INSERT INTO thread_counts AS c VALUES (p_tenant, get_byte(uuid_send(p_new_thread), 15) % 8, 1)
      ON CONFLICT (tenant_id, shard) DO UPDATE SET threads = c.threads + 1;
  END IF;
  project_id := th.project_id; thread_id := th.thread_id; run_id := p_run; message_id := p_message; agent_id := a.agent_id;
  IF p_request_id IS NOT NULL THEN
    UPDATE requests SET thread_id = th.thread_id, project_id = th.project_id, agent_id = a.agent_id,
        message_id = p_message, queue_position = initiate_run.queue_position, is_merged = initiate_run.is_merged
      WHERE tenant_id = p_tenant AND family = 'run' AND request_id = p_request_id;
  END IF;
END $$;

-- Ask a run to stop. Queued and waiting ones end here; a running one is marked, and its runner is told.
CREATE FUNCTION cancel_run(p_tenant uuid, p_run uuid, OUT is_found boolean, OUT events logged[], OUT is_ready boolean,
  OUT owner uuid, OUT epoch bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE v_thread uuid; r runs;
BEGIN
  PERFORM set_config('weft.tenant', p_tenant::text, true);
  events := '{}'; is_ready := false; is_found := false;
  SELECT thread_id INTO v_thread FROM runs WHERE tenant_id = p_tenant AND run_id = p_run;
  PERFORM FROM threads WHERE tenant_id = p_tenant AND thread_id = v_thread AND delete_time IS NULL FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  is_found := true;
  SELECT * INTO r FROM runs WHERE tenant_id = p_tenant AND run_id = p_run FOR NO KEY UPDATE;
  IF r.end_time IS NOT NULL THEN
    RETURN;
  END IF;
  UPDATE runs SET cancel_time = coalesce(cancel_time, weft_now()) WHERE tenant_id = p_tenant AND run_id = p_run;
  IF r.state = 'running' THEN
    owner := r.owner; epoch := r.epoch;
  ELSE
    events := ARRAY[end_run(p_tenant, p_run, 'cancelled')];
    is_ready := set_head(p_tenant, v_thread);
  END IF;
END $$;

-- The same by idempotency key. Without a request yet, leaves a tombstone that refuses the one that comes.
CREATE FUNCTION cancel_request(p_tenant uuid, p_request_id text, OUT run_id uuid, OUT is_tombstone boolean)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('weft.tenant', p_tenant::text, true);
  -- Waits for an initiate of this key that is under way.
  INSERT INTO requests (tenant_id, request_id) VALUES (p_tenant, p_request_id) ON CONFLICT DO NOTHING;
  SELECT q.run_id INTO run_id FROM requests q WHERE tenant_id = p_tenant AND family = 'run' AND request_id = p_request_id;
  is_tombstone := run_id IS NULL;
END $$;

-- The events of a run after a seq, up to the head of its log, as many as a page takes. No row for a run that the tenant has not. One round trip:
-- a watch that was just opened waits for it.
CREATE FUNCTION read_run_log(p_tenant uuid, p_run uuid, p_after bigint, p_limit int, p_bytes bigint, p_serve_deleted boolean)
RETURNS TABLE (last_seq bigint, is_ended boolean, events logged[]) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE v_last bigint; v_is_ended boolean; v_thread uuid;
BEGIN
  PERFORM set_config('weft.tenant', p_tenant::text, true);
  SELECT r.last_seq, r.end_time IS NOT NULL, r.thread_id INTO v_last, v_is_ended, v_thread FROM runs r
    JOIN threads t ON t.tenant_id = r.tenant_id AND t.thread_id = r.thread_id
    WHERE r.tenant_id = p_tenant AND r.run_id = p_run AND (t.delete_time IS NULL OR p_serve_deleted);
  IF FOUND THEN
    RETURN QUERY SELECT v_last, v_is_ended, ARRAY(
      SELECT (tenant_id, run_id, seq, epoch, type, is_terminal, create_time, payload, v_thread)::logged
        FROM (SELECT e.*, sum(octet_length(payload)) OVER (ORDER BY seq) - octet_length(payload) AS bytes_before
          FROM (SELECT * FROM run_events WHERE tenant_id = p_tenant AND run_id = p_run AND seq > p_after AND seq <= v_last
            ORDER BY seq LIMIT p_limit) e) page
        WHERE bytes_before < p_bytes ORDER BY seq);
  END IF;
END $$;

-- An event of a thread with what it speaks of: the message that was created, the event that ended a run.
CREATE TYPE logged_in_thread AS (
  seq bigint, type text, create_time timestamptz, run_id uuid, message_id uuid, run_seq bigint, payload bytea,
  message messages, terminal_event logged
);

-- The same for the log of a thread; p_after NULL reads nothing but where it ends. `open_run`, where asked for, is the run
-- that had started and not ended at p_after.
CREATE FUNCTION read_thread_log(p_tenant uuid, p_thread uuid, p_after bigint, p_limit int, p_bytes bigint,
  p_serve_deleted boolean, p_with_open_run boolean)
RETURNS TABLE (last_seq bigint, is_deleted boolean, open_run uuid, events logged_in_thread[]) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE v_last bigint; v_is_deleted boolean; v_after bigint; v_open uuid; v_started bigint;
BEGIN
  PERFORM set_config('weft.tenant', p_tenant::text, true);
  SELECT t.last_seq, t.delete_time IS NOT NULL INTO v_last, v_is_deleted FROM threads t
    WHERE t.tenant_id = p_tenant AND t.thread_id = p_thread AND (t.delete_time IS NULL OR p_serve_deleted);
  IF NOT FOUND THEN
    RETURN;
  END IF;
  v_after := coalesce(p_after, v_last);
  IF p_with_open_run AND v_after > 0 THEN
    SELECT e.run_id, e.seq INTO v_open, v_started FROM thread_events e WHERE tenant_id = p_tenant AND thread_id = p_thread
      AND seq <= v_after AND type = 'run.started' ORDER BY seq DESC LIMIT 1;
    PERFORM FROM thread_events e WHERE tenant_id = p_tenant AND thread_id = p_thread
      AND seq > v_started AND seq <= v_after AND type = 'run.ended' AND e.run_id = v_open;
    IF FOUND THEN
      v_open := NULL;
    END IF;
  END IF;
  RETURN QUERY SELECT v_last, v_is_deleted, v_open, ARRAY(
    SELECT (seq, type, create_time, run_id, message_id, run_seq, payload, message, terminal_event)::logged_in_thread
      FROM (SELECT *, sum(bytes) OVER (ORDER BY seq) - bytes AS bytes_before
        FROM (SELECT e.seq, e.type, e.create_time, e.run_id, e.message_id, e.run_seq, e.payload, m AS message,
            CASE WHEN r.seq IS NOT NULL THEN (r.tenant_id, r.run_id, r.seq, r.epoch, r.type, r.is_terminal, r.create_time,
              r.payload, p_thread)::logged END AS terminal_event,
            coalesce(octet_length(m.content), 0) + coalesce(octet_length(r.payload), 0)
              + coalesce(octet_length(e.payload), 0) AS bytes
          FROM (SELECT * FROM thread_events WHERE tenant_id = p_tenant AND thread_id = p_thread AND seq > v_after
            AND seq <= v_last ORDER BY seq LIMIT p_limit) e
          LEFT JOIN messages m ON e.type = 'message.created' AND m.tenant_id = p_tenant AND m.message_id = e.message_id
          LEFT JOIN run_events r ON e.type = 'run.ended' AND r.tenant_id = p_tenant AND r.run_id = e.run_id
            AND r.seq = e.run_seq) whole) page
      WHERE bytes_before < p_bytes ORDER BY seq);
END $$;

-- The last guard of the life cycle, as in weft_threads/runs/states.py: whatever a statement says, no run takes a step
-- that is not there.
CREATE FUNCTION guard_run_state() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT (CASE OLD.state
      WHEN 'queued' THEN NEW.state IN ('running', 'cancelled', 'superseded', 'timed_out')
      WHEN 'running' THEN NEW.state IN ('waiting', 'succeeded', 'failed', 'cancelled', 'superseded', 'timed_out')
      WHEN 'waiting' THEN NEW.state IN ('queued', 'cancelled', 'superseded', 'timed_out')
      ELSE false END) THEN
    RAISE EXCEPTION USING ERRCODE = 'WF003', MESSAGE = format('a run does not go from %s to %s', OLD.state, NEW.state);
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER guard_run_state BEFORE UPDATE OF state ON runs
  FOR EACH ROW WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION guard_run_state();
