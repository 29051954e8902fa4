-- Tables. Every key begins with the tenant, and so does every foreign key: a plain one would reach across tenants,
-- because PostgreSQL checks it without row-level security.

-- One row: how far the database's clock is moved. Only tests move it.
CREATE TABLE clock (
  is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
  shift interval NOT NULL DEFAULT '0'
);
INSERT INTO clock DEFAULT VALUES;

-- The time for everything in Weft. Volatile, so write `(SELECT weft_now())` in a WHERE that should use an index.
-- In PL/pgSQL, as all small functions here that are called often: one in SQL is planned anew for each call, unless
-- it can be inlined, and a sub-select cannot.
CREATE FUNCTION weft_now() RETURNS timestamptz LANGUAGE plpgsql VOLATILE
AS $$ BEGIN RETURN clock_timestamp() + (SELECT shift FROM clock); END $$;

-- The tenant that this transaction works for; NULL when it works for none.
CREATE FUNCTION current_tenant() RETURNS uuid LANGUAGE sql STABLE
AS $$ SELECT nullif(current_setting('weft.tenant', true), '')::uuid $$;

CREATE TABLE tenants (
  tenant_id uuid PRIMARY KEY,
  display_name text NOT NULL,
  default_agent_id uuid,
  default_project_id uuid,
  max_queued_runs_per_thread int NOT NULL DEFAULT 100 CHECK (max_queued_runs_per_thread >= 0),
  max_active_runs int NOT NULL DEFAULT 1000 CHECK (max_active_runs >= 0),
  max_threads bigint NOT NULL DEFAULT 1000000 CHECK (max_threads >= 0),
  create_time timestamptz NOT NULL DEFAULT weft_now(),
  update_time timestamptz NOT NULL DEFAULT weft_now(),
  created_by text NOT NULL
);

CREATE TABLE api_keys (
  tenant_id uuid NOT NULL REFERENCES tenants,
  api_key_id uuid NOT NULL,
  key_sha256 bytea NOT NULL CHECK (length(key_sha256) = 32),
  display_name text NOT NULL,
  principal text NOT NULL,
  scopes text[] NOT NULL,
  expire_time timestamptz,
  revoke_time timestamptz,
  create_time timestamptz NOT NULL DEFAULT weft_now(),
  created_by text NOT NULL,
  PRIMARY KEY (tenant_id, api_key_id)
);
-- A key opens one tenant only.
CREATE UNIQUE INDEX api_keys_sha256 ON api_keys (key_sha256);

-- A tenant's own key for the model provider, sealed: see weft_threads/model_endpoints/sealing.py.
CREATE TABLE model_endpoints (
  tenant_id uuid PRIMARY KEY REFERENCES tenants,
  sealed_key bytea NOT NULL,
  key_suffix text NOT NULL,
  update_time timestamptz NOT NULL DEFAULT weft_now(),
  created_by text NOT NULL
);

CREATE TABLE projects (
  tenant_id uuid NOT NULL REFERENCES tenants,
  project_id uuid NOT NULL,
  display_name text NOT NULL,
  create_time timestamptz NOT NULL DEFAULT weft_now(),
  update_time timestamptz NOT NULL DEFAULT weft_now(),
  delete_time timestamptz,
  created_by text NOT NULL,
  PRIMARY KEY (tenant_id, project_id)
);

CREATE TABLE agents (
  tenant_id uuid NOT NULL REFERENCES tenants,
  agent_id uuid NOT NULL,
  display_name text NOT NULL,
  description text NOT NULL DEFAULT '',
  current_version_id uuid NOT NULL,
  create_time timestamptz NOT NULL DEFAULT weft_now(),
  update_time timestamptz NOT NULL DEFAULT weft_now(),
  delete_time timestamptz,
  created_by text NOT NULL,
  PRIMARY KEY (tenant_id, agent_id)
);

-- Never updated. `spec` is a serialized weft.agents.v1.AgentSpec; the columns beside it are what SQL itself needs.
CREATE TABLE agent_versions (
  tenant_id uuid NOT NULL,
  agent_version_id uuid NOT NULL,
  agent_id uuid NOT NULL,
  number int NOT NULL,
  spec bytea NOT NULL,
  busy_strategy text NOT NULL DEFAULT 'enqueue' CHECK (busy_strategy IN ('enqueue', 'merge', 'reject')),
  run_timeout interval NOT NULL DEFAULT '300 seconds',
  queue_timeout interval NOT NULL DEFAULT '24 hours',
  context_bytes bigint NOT NULL DEFAULT 400000 CHECK (context_bytes > 0),
  tools text[] NOT NULL DEFAULT '{}',
  create_time timestamptz NOT NULL DEFAULT weft_now(),
  created_by text NOT NULL,
  PRIMARY KEY (tenant_id, agent_version_id),
  UNIQUE (tenant_id, agent_id, number),
  FOREIGN KEY (tenant_id, agent_id) REFERENCES agents DEFERRABLE INITIALLY DEFERRED
);
ALTER TABLE agents ADD FOREIGN KEY (tenant_id, current_version_id) REFERENCES agent_versions DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE tenants ADD FOREIGN KEY (tenant_id, default_agent_id) REFERENCES agents DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE tenants ADD FOREIGN KEY (tenant_id, default_project_id) REFERENCES projects DEFERRABLE INITIALLY DEFERRED;

CREATE TABLE documents (
  tenant_id uuid NOT NULL,
  document_id uuid NOT NULL,
  project_id uuid NOT NULL,
  title text NOT NULL,
  content_type text NOT NULL DEFAULT 'text/plain',
  size_bytes bigint NOT NULL,
  create_time timestamptz NOT NULL DEFAULT weft_now(),
  update_time timestamptz NOT NULL DEFAULT weft_now(),
  created_by text NOT NULL,
  PRIMARY KEY (tenant_id, document_id),
  FOREIGN KEY (tenant_id, project_id) REFERENCES projects,
  -- Putting a document again replaces the one of its title.
  UNIQUE (tenant_id, project_id, title)
);
CREATE INDEX documents_by_project ON documents (tenant_id, project_id, document_id);

-- The text of a document, cut into pieces: a tsvector ends at 1 MiB.
CREATE TABLE document_passages (
  tenant_id uuid NOT NULL,
  document_id uuid NOT NULL,
  index int NOT NULL,
  project_id uuid NOT NULL,
  text text NOT NULL CHECK (octet_length(text) <= 65536),
  words tsvector NOT NULL GENERATED ALWAYS AS (to_tsvector('english', text)) STORED,
  PRIMARY KEY (tenant_id, document_id, index),
  FOREIGN KEY (tenant_id, document_id) REFERENCES documents ON DELETE CASCADE
);
CREATE INDEX document_passages_words ON document_passages USING gin (words);

CREATE TABLE tasks (
  tenant_id uuid NOT NULL,
  task_id uuid NOT NULL,
  project_id uuid NOT NULL,
  title text NOT NULL,
  description text NOT NULL DEFAULT '',
  state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'done', 'dropped')),
  -- Makes creation repeatable: the request_id of the caller, or the tool call that made it.
  creation_key text,
  creation_digest bytea,
  -- The run that made it, where one did.
  run_id uuid,
  create_time timestamptz NOT NULL DEFAULT weft_now(),
  update_time timestamptz NOT NULL DEFAULT weft_now(),
  created_by text NOT NULL,
  PRIMARY KEY (tenant_id, task_id),
  FOREIGN KEY (tenant_id, project_id) REFERENCES projects
);
CREATE INDEX tasks_by_project ON tasks (tenant_id, project_id, task_id);
-- The same creation twice makes one task.
CREATE UNIQUE INDEX tasks_creation_key ON tasks (tenant_id, creation_key) WHERE creation_key IS NOT NULL;

CREATE TABLE threads (
  tenant_id uuid NOT NULL,
  thread_id uuid NOT NULL,
  project_id uuid NOT NULL,
  agent_id uuid NOT NULL,
  title text NOT NULL DEFAULT '',
  is_title_edited boolean NOT NULL DEFAULT false,
  is_active boolean NOT NULL DEFAULT true,
  metadata jsonb NOT NULL DEFAULT '{}',
  -- What somebody should look at: the newest such thing.
  attention_reason text CHECK (attention_reason IN ('attachment_failed')),
  attention_message text,
  attention_time timestamptz,
  last_turn bigint NOT NULL DEFAULT 0,
  last_seq bigint NOT NULL DEFAULT 0,
  create_time timestamptz NOT NULL DEFAULT weft_now(),
  update_time timestamptz NOT NULL DEFAULT weft_now(),
  delete_time timestamptz,
  created_by text NOT NULL,
  PRIMARY KEY (tenant_id, thread_id),
  FOREIGN KEY (tenant_id, project_id) REFERENCES projects,
  FOREIGN KEY (tenant_id, agent_id) REFERENCES agents
) WITH (fillfactor = 70);
CREATE INDEX threads_by_project ON threads (tenant_id, project_id, thread_id) WHERE delete_time IS NULL;
CREATE INDEX threads_by_agent ON threads (tenant_id, agent_id, thread_id) WHERE delete_time IS NULL;
-- Most threads have no metadata, and cost nothing here. Found through search_threads only.
CREATE INDEX threads_metadata ON threads USING gin (metadata jsonb_path_ops) WHERE delete_time IS NULL AND metadata <> '{}';

-- How many threads a tenant has, in shards so that initiates do not queue up behind one row. Locked last.
CREATE TABLE thread_counts (
  tenant_id uuid NOT NULL REFERENCES tenants,
  shard int NOT NULL CHECK (shard BETWEEN 0 AND 7),
  threads bigint NOT NULL CHECK (threads >= 0),
  PRIMARY KEY (tenant_id, shard)
) WITH (fillfactor = 50);

CREATE TABLE runs (
  tenant_id uuid NOT NULL,
  run_id uuid NOT NULL,
  thread_id uuid NOT NULL,
  project_id uuid NOT NULL,
  agent_id uuid NOT NULL,
  agent_version_id uuid NOT NULL,
  request_id text,
  turn bigint NOT NULL CHECK (turn > 0),
  state text NOT NULL DEFAULT 'queued' CHECK (state IN
    ('queued', 'running', 'waiting', 'succeeded', 'failed', 'cancelled', 'timed_out', 'superseded')),
  waiting_reason text CHECK (waiting_reason IN ('provider_rate')),
  finish text CHECK (finish IN ('stop', 'length', 'iteration_limit', 'content_filter')),
  -- A serialized weft.runs.v1.Failure.
  failure bytea,
  epoch bigint NOT NULL DEFAULT 0,
  attempt int NOT NULL DEFAULT 0,
  last_seq bigint NOT NULL DEFAULT 0,
  owner uuid,
  -- Set for the run of a thread that may be claimed: the head. See set_head.
  ready_time timestamptz,
  -- When the present state ends by itself: queued and waiting by their own limits, running by the running time.
  deadline_time timestamptz,
  run_timeout interval NOT NULL,
  queue_timeout interval NOT NULL,
  -- Running time left; kept while the run is not running, once it has been.
  run_remaining interval,
  wake_time timestamptz,
  cancel_time timestamptz,
  superseded_by uuid,
  input_tokens bigint NOT NULL DEFAULT 0,
  output_tokens bigint NOT NULL DEFAULT 0,
  cached_input_tokens bigint NOT NULL DEFAULT 0,
  model_calls int NOT NULL DEFAULT 0,
  unmetered_model_calls int NOT NULL DEFAULT 0,
  unpriced_model_calls int NOT NULL DEFAULT 0,
  cost_micros bigint NOT NULL DEFAULT 0,
  model_closed_time timestamptz,
  create_time timestamptz NOT NULL DEFAULT weft_now(),
  start_time timestamptz,
  end_time timestamptz,
  created_by text NOT NULL,
  -- The W3C traceparent of the call that made the run.
  trace_parent text,
  PRIMARY KEY (tenant_id, run_id),
  -- Two runs never share a place.
  UNIQUE (tenant_id, thread_id, turn),
  FOREIGN KEY (tenant_id, thread_id) REFERENCES threads,
  FOREIGN KEY (tenant_id, agent_version_id) REFERENCES agent_versions,
  CHECK ((state IN ('succeeded', 'failed', 'cancelled', 'timed_out', 'superseded')) = (end_time IS NOT NULL)),
  CHECK (state = 'running' OR owner IS NULL),
  -- Claimable: the head of its thread, or a run that a runner gave back.
  CHECK (ready_time IS NULL OR state = 'queued' OR (state = 'running' AND owner IS NULL)),
  CHECK (deadline_time IS NULL OR end_time IS NULL),
  CHECK (wake_time IS NULL OR state = 'waiting'),
  CHECK (state <> 'superseded' OR superseded_by IS NOT NULL)
) WITH (fillfactor = 60);  -- last_seq is in no index, so that appending events rewrites none
-- A thread has at most one active run.
CREATE UNIQUE INDEX one_active_run ON runs (tenant_id, thread_id) WHERE state IN ('running', 'waiting');
CREATE INDEX runs_queued ON runs (tenant_id, thread_id, turn) WHERE state = 'queued';
-- The predicates below name no state, and neither do the queries that use them (the CHECKs imply it): otherwise every
-- index with a state would serve every query, and with old statistics the planner walks the wrong one.
CREATE INDEX runs_ready ON runs (ready_time) WHERE ready_time IS NOT NULL;
CREATE INDEX runs_owned ON runs (owner) WHERE owner IS NOT NULL;
CREATE INDEX runs_due ON runs (deadline_time) WHERE deadline_time IS NOT NULL;
CREATE INDEX runs_to_wake ON runs (wake_time) WHERE wake_time IS NOT NULL;
CREATE INDEX runs_to_stop ON runs (cancel_time) WHERE cancel_time IS NOT NULL AND end_time IS NULL;
CREATE INDEX runs_by_agent ON runs (tenant_id, agent_id, run_id);

-- What was said. A message's place is (turn, index): an order by arrival would put two questions before one answer.
-- `content` is a serialized weft.threads.v1.MessageContent.
CREATE TABLE messages (
  tenant_id uuid NOT NULL,
  message_id uuid NOT NULL,
  thread_id uuid NOT NULL,
  turn bigint NOT NULL,
  index int NOT NULL,
  role text NOT NULL CHECK (role IN ('user', 'assistant', 'system', 'tool')),
  content bytea NOT NULL,
  is_incomplete boolean NOT NULL DEFAULT false,
  -- The run that said it, and the model call in it; NULL for what came from outside.
  run_id uuid,
  step int,
  create_time timestamptz NOT NULL DEFAULT weft_now(),
  created_by text NOT NULL,
  PRIMARY KEY (tenant_id, message_id),
  UNIQUE (tenant_id, thread_id, turn, index),
  FOREIGN KEY (tenant_id, thread_id) REFERENCES threads,
  FOREIGN KEY (tenant_id, run_id) REFERENCES runs
);

-- The files that came with messages. What a model is given of one lies in its message, as a part; this row has the file
-- itself and decides that its text is found once.
CREATE TABLE attachments (
  tenant_id uuid NOT NULL,
  attachment_id uuid NOT NULL,
  thread_id uuid NOT NULL,
  message_id uuid NOT NULL,
  name text NOT NULL,
  size_bytes bigint NOT NULL,
  sha256 bytea NOT NULL CHECK (length(sha256) = 32),
  state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'ready', 'failed')),
  -- Why it failed; else NULL.
  failure_reason text,
  create_time timestamptz NOT NULL DEFAULT weft_now(),
  end_time timestamptz,
  created_by text NOT NULL,
  content bytea NOT NULL,
  PRIMARY KEY (tenant_id, attachment_id),
  FOREIGN KEY (tenant_id, message_id) REFERENCES messages,
  CHECK ((state = 'pending') = (end_time IS NULL)),
  CHECK ((state = 'failed') = (failure_reason IS NOT NULL))
);
-- Most files are compressed already, and a piece of one is read without the rest of it.
ALTER TABLE attachments ALTER COLUMN content SET STORAGE EXTERNAL;

-- Which messages a run answers: its own, and those of the runs that it took over.
CREATE TABLE run_inputs (
  tenant_id uuid NOT NULL,
  run_id uuid NOT NULL,
  message_id uuid NOT NULL,
  PRIMARY KEY (tenant_id, run_id, message_id),
  FOREIGN KEY (tenant_id, run_id) REFERENCES runs,
  FOREIGN KEY (tenant_id, message_id) REFERENCES messages
);

-- What happened in a run. `payload` is the serialized message of its type in weft.runs.v1.RunEvent. No foreign key:
-- every insert compares the run's row in the same statement anyway, and a check for each event costs a lock of it.
CREATE TABLE run_events (
  tenant_id uuid NOT NULL,
  run_id uuid NOT NULL,
  seq bigint NOT NULL CHECK (seq > 0),
  epoch bigint NOT NULL,
  type text NOT NULL,
  is_terminal boolean NOT NULL DEFAULT false,
  create_time timestamptz NOT NULL DEFAULT weft_now(),
  payload bytea NOT NULL,
  PRIMARY KEY (tenant_id, run_id, seq)
);
-- A run ends once.
CREATE UNIQUE INDEX one_terminal_event ON run_events (tenant_id, run_id) WHERE is_terminal;

-- What happened in a thread, beside the events of its runs.
CREATE TABLE thread_events (
  tenant_id uuid NOT NULL,
  thread_id uuid NOT NULL,
  seq bigint NOT NULL CHECK (seq > 0),
  type text NOT NULL CHECK (type IN
    ('message.created', 'run.queued', 'run.started', 'run.ended', 'title.updated', 'thread.updated', 'attachment.ready',
      'attachment.failed', 'thread.deleted')),
  run_id uuid,
  message_id uuid,
  -- Where in the run's own log this stands.
  run_seq bigint,
  -- The serialized message of its type in weft.runs.v1.ThreadEvent, of types that the columns do not make.
  payload bytea,
  create_time timestamptz NOT NULL DEFAULT weft_now(),
  PRIMARY KEY (tenant_id, thread_id, seq),
  FOREIGN KEY (tenant_id, thread_id) REFERENCES threads
);

-- The journal of model calls: one row for each attempt, so that usage is counted for each, whatever became of it.
CREATE TABLE run_steps (
  tenant_id uuid NOT NULL,
  run_id uuid NOT NULL,
  -- From 1; 0 is the call that made the thread's title, after the run's end.
  step int NOT NULL CHECK (step >= 0),
  attempt int NOT NULL CHECK (attempt > 0),
  state text NOT NULL DEFAULT 'started' CHECK (state IN ('started', 'succeeded', 'failed', 'cut')),
  epoch bigint NOT NULL,
  message_id uuid NOT NULL,
  input_tokens bigint,
  output_tokens bigint,
  cached_input_tokens bigint,
  -- The model that was asked, and what the call cost: NULL where it was cut off, or has no price.
  model text,
  cost_micros bigint CHECK (cost_micros >= 0),
  error text,
  start_time timestamptz NOT NULL DEFAULT weft_now(),
  end_time timestamptz,
  PRIMARY KEY (tenant_id, run_id, step, attempt),
  FOREIGN KEY (tenant_id, run_id) REFERENCES runs
);
-- What was used within a range of time.
CREATE INDEX run_steps_by_time ON run_steps (tenant_id, start_time);
-- One attempt at a time.
CREATE UNIQUE INDEX one_started_step ON run_steps (tenant_id, run_id) WHERE state = 'started';

-- Idempotency. A row without a run is a tombstone: a cancel came before its request.
CREATE TABLE requests (
  tenant_id uuid NOT NULL REFERENCES tenants,
  -- Methods of one family share keys: 'run' is InitiateAgent and CancelRun.
  family text NOT NULL DEFAULT 'run',
  request_id text NOT NULL,
  digest bytea,
  run_id uuid,
  thread_id uuid,
  project_id uuid,
  agent_id uuid,
  message_id uuid,
  queue_position int,
  is_merged boolean,
  create_time timestamptz NOT NULL DEFAULT weft_now(),
  PRIMARY KEY (tenant_id, family, request_id),
  CHECK ((digest IS NULL) = (run_id IS NULL))
);
CREATE INDEX requests_by_run ON requests (tenant_id, run_id);
CREATE INDEX requests_by_age ON requests (create_time);

-- The journal of tool calls, and their audit: one row for each call, allowed or denied.
CREATE TABLE tool_executions (
  tenant_id uuid NOT NULL,
  tool_execution_id uuid NOT NULL,
  -- What makes the call repeatable: 'run/<run>/<step>/<index>' or 'request/<request_id>'.
  execution_key text NOT NULL,
  run_id uuid,
  epoch bigint,
  agent_id uuid NOT NULL,
  tool text NOT NULL,
  arguments_sha256 bytea NOT NULL,
  state text NOT NULL CHECK (state IN ('started', 'succeeded', 'failed', 'unknown', 'denied')),
  is_idempotent boolean NOT NULL DEFAULT false,
  -- While it lies ahead, the process that began the call is taken to live.
  lease_time timestamptz,
  attempt int NOT NULL DEFAULT 1,
  reason text,
  content text,
  is_truncated boolean NOT NULL DEFAULT false,
  create_time timestamptz NOT NULL DEFAULT weft_now(),
  end_time timestamptz,
  created_by text NOT NULL,
  PRIMARY KEY (tenant_id, tool_execution_id),
  FOREIGN KEY (tenant_id, run_id) REFERENCES runs
);
-- A call is journaled once. Denied ones are only audit, and may be many.
CREATE UNIQUE INDEX tool_executions_key ON tool_executions (tenant_id, execution_key) WHERE state <> 'denied';
CREATE INDEX tool_executions_by_time ON tool_executions (tenant_id, create_time);

-- One row for each process of the agent-runner that lives or died lately.
CREATE TABLE runners (
  runner_id uuid PRIMARY KEY,
  host text NOT NULL,
  lease_expire_time timestamptz NOT NULL,
  create_time timestamptz NOT NULL DEFAULT weft_now()
) WITH (fillfactor = 50);

-- One row: when a reaper last looked. A gap means that the database or threads was away, not that runners died: then
-- nothing is taken over before `reclaim_time`, so that an outage repeats no model call.
CREATE TABLE reaper (
  is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
  stamp_time timestamptz NOT NULL DEFAULT weft_now(),
  reclaim_time timestamptz NOT NULL DEFAULT weft_now()
);
INSERT INTO reaper DEFAULT VALUES;
