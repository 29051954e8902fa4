-- Who may do what. The schema's roles exist before: weft_owner (runs this), weft_app, weft_queue, weft_definer.

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO weft_app, weft_queue, weft_definer;
GRANT CREATE ON SCHEMA public TO weft_definer;  -- only while it is handed its functions, below
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;  -- those of later migrations too

-- Tables of tenants: forced row-level security, also for the owner. No tenant set reads as NULL and matches nothing;
-- the sub-select makes it once for a statement.
DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['tenants', 'api_keys', 'model_endpoints', 'projects', 'agents', 'agent_versions', 'documents', 'document_passages',
      'tasks', 'threads', 'thread_counts', 'runs', 'messages', 'attachments', 'run_inputs', 'run_events', 'thread_events',
      'run_steps', 'requests', 'tool_executions'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY own_tenant ON %I TO weft_app USING (tenant_id = (SELECT current_tenant()))
      WITH CHECK (tenant_id = (SELECT current_tenant()))', t);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO weft_app', t);
  END LOOP;
  -- What the definer functions need, and no more.
  FOREACH t IN ARRAY ARRAY['tenants', 'api_keys', 'agent_versions', 'documents', 'document_passages', 'threads', 'runs',
      'messages', 'run_inputs', 'run_events', 'thread_events', 'run_steps', 'requests'] LOOP
    EXECUTE format('CREATE POLICY all_tenants ON %I TO weft_definer USING (true) WITH CHECK (true)', t);
  END LOOP;
END $$;

GRANT SELECT ON clock, reaper TO weft_app, weft_queue, weft_definer;
GRANT SELECT ON tenants, api_keys, agent_versions, documents, document_passages, run_inputs TO weft_definer;
GRANT SELECT, UPDATE ON threads, runs TO weft_definer;
GRANT SELECT, INSERT ON messages, run_events, thread_events TO weft_definer;
GRANT SELECT, INSERT, UPDATE ON run_steps TO weft_definer;
GRANT SELECT, DELETE ON requests TO weft_definer;
GRANT SELECT, INSERT, UPDATE, DELETE ON runners TO weft_definer;
GRANT UPDATE ON reaper TO weft_definer;

-- The queue's role appends events, in one statement of its own: see weft_threads/events/append.py.
CREATE POLICY appends ON runs TO weft_queue USING (true) WITH CHECK (true);
CREATE POLICY appends ON run_events TO weft_queue USING (true) WITH CHECK (true);
GRANT SELECT (tenant_id, run_id, state, epoch, last_seq, cancel_time), UPDATE (last_seq) ON runs TO weft_queue;
GRANT SELECT (tenant_id, run_id, seq), INSERT ON run_events TO weft_queue;

DO $$
DECLARE f text;
BEGIN
  -- Everybody may tell the time and work with the pieces below under their own rights.
  FOREACH f IN ARRAY ARRAY['weft_now()', 'current_tenant()', 'refuse(text, text)', 'id_text(text, uuid)', 'pb_varint(int)',
      'pb_int(int, int)', 'pb_text(int, text)'] LOOP
    EXECUTE 'GRANT EXECUTE ON FUNCTION ' || f || ' TO weft_app, weft_queue, weft_definer';
  END LOOP;
  FOREACH f IN ARRAY ARRAY['write_event(uuid, uuid, text, bytea, boolean)', 'write_events(uuid, uuid, text[], bytea[])',
      'store_events(runs, text[], bytea[], timestamptz)',
      'write_thread_event(uuid, uuid, text, uuid, uuid, bigint, bytea)', 'set_head(uuid, uuid)', 'outcome_of(runs, text)',
      'end_run(uuid, uuid, text, bytea, text, bytea)', 'add_messages(runs, new_message[], boolean)',
      'run_context(uuid, uuid)', 'context_start(uuid, uuid, bigint, bigint, bigint)'] LOOP
    EXECUTE 'GRANT EXECUTE ON FUNCTION ' || f || ' TO weft_app, weft_definer';
  END LOOP;
  FOREACH f IN ARRAY ARRAY['begin_step(runs, int, int, uuid)', 'step_started(int, int, uuid)', 'finish_step(runs, step_end)', 'wait_run(runs, transition)',
      'lock_candidate()', 'lock_claimable(uuid, uuid)'] LOOP
    EXECUTE 'GRANT EXECUTE ON FUNCTION ' || f || ' TO weft_definer';
  END LOOP;
  FOREACH f IN ARRAY ARRAY['supersede_runs(uuid, uuid, uuid)', 'cancel_run(uuid, uuid)', 'cancel_request(uuid, text)',
      'initiate_run(uuid, text, text, bytea, uuid, uuid, uuid, uuid, text, uuid, uuid, bytea, text, bytea, text,
        new_attachment[])',
      'begin_run_execution(uuid, uuid, bigint, uuid, text, text, bytea, boolean, interval, text)',
      'finish_run_execution(uuid, uuid, uuid, int, text, text, boolean, text)', 'search_documents(uuid, uuid, text, int)',
      'wake_run(uuid, uuid, uuid)', 'read_run_log(uuid, uuid, bigint, int, bigint, boolean)',
      'read_thread_log(uuid, uuid, bigint, int, bigint, boolean, boolean)'] LOOP
    EXECUTE 'GRANT EXECUTE ON FUNCTION ' || f || ' TO weft_app';
  END LOOP;
  FOREACH f IN ARRAY ARRAY['register_runner(uuid, text, interval)', 'heartbeat(uuid, interval)', 'owned_runs(uuid)',
      'claim_run(uuid, uuid)', 'release_run(uuid, uuid, uuid, bigint)', 'stamp_reaper(interval)',
      'due_runs(interval, int)', 'claimable_runs(int)', 'queue_standing(int)', 'run_heads(uuid[], uuid[])',
      'thread_heads(uuid[], uuid[])', 'purge(int)',
      'commit_entry(uuid, uuid, bigint, bigint, text[], bytea[], step_end, new_message[], int, int, uuid, transition)'] LOOP
    EXECUTE 'ALTER FUNCTION ' || f || ' OWNER TO weft_definer';
    EXECUTE 'GRANT EXECUTE ON FUNCTION ' || f || ' TO weft_queue';
  END LOOP;
  FOREACH f IN ARRAY ARRAY['resolve_api_key(bytea)', 'list_tenants(uuid, int)', 'search_passages(uuid, text, int)',
      'search_threads(jsonb, uuid, uuid, boolean, uuid, int)'] LOOP
    EXECUTE 'ALTER FUNCTION ' || f || ' OWNER TO weft_definer';
    EXECUTE 'GRANT EXECUTE ON FUNCTION ' || f || ' TO weft_app';
  END LOOP;
END $$;
REVOKE CREATE ON SCHEMA public FROM weft_definer;
