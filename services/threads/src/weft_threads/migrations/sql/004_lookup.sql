-- Look-ups that row-level security would make slow or impossible. Owned by weft_definer.

-- Who holds this key: the only question that is asked before a tenant is known.
CREATE FUNCTION resolve_api_key(p_sha256 bytea)
RETURNS TABLE (tenant_id uuid, api_key_id uuid, principal text, scopes text[], expire_time timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT tenant_id, api_key_id, principal, scopes, expire_time FROM api_keys
    WHERE key_sha256 = p_sha256 AND revoke_time IS NULL AND (expire_time IS NULL OR expire_time > (SELECT weft_now()))
$$;

-- All tenants, for the operator.
CREATE FUNCTION list_tenants(p_after uuid, p_limit int) RETURNS SETOF tenants
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT * FROM tenants WHERE tenant_id > p_after ORDER BY tenant_id LIMIT p_limit
$$;

-- Threads that have all pairs of `p_metadata`, newest first. Under row-level security the GIN index would not be used. The
-- tenant is the transaction's own; NULL as a filter means whatever. How rare the pairs are cannot be known beforehand (no
-- statistics of metadata are used here): common ones are found among the newest threads, only others are looked up.
CREATE FUNCTION search_threads(p_metadata jsonb, p_project uuid, p_agent uuid, p_is_active boolean, p_before uuid, p_limit int)
RETURNS SETOF uuid
LANGUAGE plpgsql STABLE ROWS 50 SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE v_tenant uuid := current_tenant(); v_found uuid[];
BEGIN
  v_found := ARRAY(SELECT t.thread_id FROM (SELECT * FROM threads
        WHERE tenant_id = v_tenant AND delete_time IS NULL AND (p_before IS NULL OR thread_id < p_before)
        ORDER BY thread_id DESC LIMIT 500) t
    WHERE t.metadata @> p_metadata AND (p_project IS NULL OR t.project_id = p_project)
      AND (p_agent IS NULL OR t.agent_id = p_agent) AND (p_is_active IS NULL OR t.is_active = p_is_active)
    ORDER BY t.thread_id DESC LIMIT p_limit);
  IF cardinality(v_found) < p_limit THEN
    -- Materialized: with the LIMIT in sight the planner would walk all threads of the tenant, in the hope of many hits.
    v_found := ARRAY(WITH t AS MATERIALIZED (SELECT thread_id FROM threads
        WHERE tenant_id = v_tenant AND metadata @> p_metadata AND metadata <> '{}' AND delete_time IS NULL
          AND (p_project IS NULL OR project_id = p_project) AND (p_agent IS NULL OR agent_id = p_agent)
          AND (p_is_active IS NULL OR is_active = p_is_active) AND (p_before IS NULL OR thread_id < p_before))
      SELECT thread_id FROM t ORDER BY thread_id DESC LIMIT p_limit);
  END IF;
  RETURN QUERY SELECT unnest(v_found);
END $$;

-- Passages of a project's documents by rank. Under row-level security the GIN index would not be used. The tenant is
-- the transaction's own. Any word may match; passages with more of the words come first, then those in which they stand
-- closer together: the rank is the number of words plus a density below 1.
CREATE FUNCTION search_passages(p_project uuid, p_query text, p_limit int)
RETURNS TABLE (document_id uuid, title text, index int, rank real, snippet text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_query tsquery := replace(plainto_tsquery('english', p_query)::text, '&', '|')::tsquery;
  v_words tsquery[] := ARRAY(SELECT plainto_tsquery('simple', w)
    FROM unnest(tsvector_to_array(to_tsvector('english', p_query))) w);
  v_tenant uuid := current_tenant();
BEGIN
  RETURN QUERY
    SELECT b.document_id, d.title, b.index, b.rank,
      ts_headline('english', b.text, v_query, 'MaxFragments=2, MaxWords=30, MinWords=10, StartSel="", StopSel=""')
    FROM (SELECT p.document_id, p.index, p.text, ts_rank_cd(p.words, v_query, 33)
          + (SELECT count(*) FROM unnest(v_words) w WHERE p.words @@ w)::real AS rank FROM document_passages p
        WHERE p.tenant_id = v_tenant AND p.project_id = p_project AND p.words @@ v_query
        ORDER BY rank DESC, p.document_id, p.index LIMIT p_limit) b
    JOIN documents d ON d.tenant_id = v_tenant AND d.document_id = b.document_id
    ORDER BY b.rank DESC, b.document_id, b.index;
END $$;
