-- What happens in every tool call of a run, one round trip each. Under the rights of weft_app, bound to a tenant. What is
-- not as usual writes nothing here and returns no row: Python then takes the longer way, which tells why.

-- Take a call of a run: the run is running under this epoch, its agent has the tool, and nobody has taken the call before.
-- The run cannot be taken over meanwhile.
CREATE FUNCTION begin_run_execution(p_tenant uuid, p_run uuid, p_epoch bigint, p_execution uuid, p_key text, p_tool text,
  p_sha256 bytea, p_is_idempotent boolean, p_lease interval, p_principal text)
RETURNS TABLE (agent_id uuid, project_id uuid, thread_id uuid, tools text[], lease_time timestamptz)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE a record; v_lease timestamptz := weft_now() + p_lease;
BEGIN
  PERFORM set_config('weft.tenant', p_tenant::text, true);
  SELECT r.agent_id, r.project_id, r.thread_id, v.tools INTO a FROM runs r
    JOIN agent_versions v ON v.tenant_id = r.tenant_id AND v.agent_version_id = r.agent_version_id
    WHERE r.tenant_id = p_tenant AND r.run_id = p_run AND r.state = 'running' AND r.epoch = p_epoch
      AND p_tool = ANY (v.tools) FOR SHARE OF r;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  INSERT INTO tool_executions (tenant_id, tool_execution_id, execution_key, run_id, epoch, agent_id, tool,
      arguments_sha256, state, is_idempotent, lease_time, created_by)
    VALUES (p_tenant, p_execution, p_key, p_run, p_epoch, a.agent_id, p_tool, p_sha256, 'started', p_is_idempotent,
      v_lease, p_principal)
    ON CONFLICT (tenant_id, execution_key) WHERE state <> 'denied' DO NOTHING;
  IF FOUND THEN
    RETURN QUERY SELECT a.agent_id, a.project_id, a.thread_id, a.tools, v_lease;
  END IF;
END $$;

-- Store how an attempt of a run's call ended, if it is still under way.
CREATE FUNCTION finish_run_execution(p_tenant uuid, p_run uuid, p_execution uuid, p_attempt int, p_state text,
  p_content text, p_is_truncated boolean, p_reason text) RETURNS boolean
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  PERFORM set_config('weft.tenant', p_tenant::text, true);
  UPDATE tool_executions SET state = p_state, content = p_content, is_truncated = p_is_truncated,
      reason = nullif(p_reason, ''), end_time = weft_now()
    WHERE tenant_id = p_tenant AND tool_execution_id = p_execution AND run_id = p_run AND attempt = p_attempt
      AND state = 'started';
  RETURN FOUND;
END $$;

-- Search a project's documents. The first row says that the project exists, and has no document.
CREATE FUNCTION search_documents(p_tenant uuid, p_project uuid, p_query text, p_limit int)
RETURNS TABLE (document_id uuid, project_id uuid, title text, content_type text, size_bytes bigint,
  create_time timestamptz, update_time timestamptz, created_by text, start bigint, length int, snippet text, rank real)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('weft.tenant', p_tenant::text, true);
  PERFORM FROM projects WHERE tenant_id = p_tenant AND project_id = p_project AND delete_time IS NULL;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  RETURN NEXT;
  RETURN QUERY
    SELECT d.document_id, d.project_id, d.title, d.content_type, d.size_bytes, d.create_time, d.update_time, d.created_by,
      (SELECT coalesce(sum(char_length(before.text)), 0) FROM document_passages before
        WHERE before.tenant_id = p_tenant AND before.document_id = h.document_id AND before.index < h.index),
      char_length(p.text), h.snippet, h.rank
    FROM search_passages(p_project, p_query, p_limit) h
    JOIN documents d ON d.tenant_id = p_tenant AND d.document_id = h.document_id
    JOIN document_passages p ON p.tenant_id = p_tenant AND p.document_id = h.document_id AND p.index = h.index
    ORDER BY h.rank DESC, h.document_id, h.index;
END $$;
