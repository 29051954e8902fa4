"""The tables, as queries name them. The truth is migrations/sql: columns that no query here names are left out.

Row-level security binds every transaction to its tenant, so queries do not repeat it; inserts write `TENANT`.
"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP, UUID

METADATA = sa.MetaData()

TENANT = sa.func.current_tenant()
NOW = sa.func.weft_now()


def _id(name: str) -> sa.Column[object]:
    return sa.Column(name, UUID(as_uuid=True))


def _time(name: str) -> sa.Column[object]:
    return sa.Column(name, TIMESTAMP(timezone=True))


def _table(name: str, *columns: sa.Column[object]) -> sa.Table:
    return sa.Table(name, METADATA, _id("tenant_id"), *columns)


def _text(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.Text)


def _int(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.BigInteger)


def _bytes(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.LargeBinary)


def _flag(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.Boolean)


def _interval(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.Interval)


tenants = _table(
    "tenants",
    _text("display_name"),
    _id("default_agent_id"),
    _id("default_project_id"),
    _int("max_queued_runs_per_thread"),
    _int("max_active_runs"),
    _int("max_threads"),
    _time("create_time"),
    _time("update_time"),
    _text("created_by"),
)

api_keys = _table(
    "api_keys",
    _id("api_key_id"),
    _bytes("key_sha256"),
    _text("display_name"),
    _text("principal"),
    sa.Column("scopes", ARRAY(sa.Text)),
    _time("expire_time"),
    _time("revoke_time"),
    _time("create_time"),
    _text("created_by"),
)

model_endpoints = _table(
    "model_endpoints",
    _bytes("sealed_key"),
    _text("key_suffix"),
    _time("update_time"),
    _text("created_by"),
)

projects = _table(
    "projects",
    _id("project_id"),
    _text("display_name"),
    _time("create_time"),
    _time("update_time"),
    _time("delete_time"),
    _text("created_by"),
)

agents = _table(
    "agents",
    _id("agent_id"),
    _text("display_name"),
    _text("description"),
    _id("current_version_id"),
    _time("create_time"),
    _time("update_time"),
    _time("delete_time"),
    _text("created_by"),
)

agent_versions = _table(
    "agent_versions",
    _id("agent_version_id"),
    _id("agent_id"),
    _int("number"),
    _bytes("spec"),
    _text("busy_strategy"),
    _interval("run_timeout"),
    _interval("queue_timeout"),
    _int("context_bytes"),
    sa.Column("tools", ARRAY(sa.Text)),
    _time("create_time"),
    _text("created_by"),
)

documents = _table(
    "documents",
    _id("document_id"),
    _id("project_id"),
    _text("title"),
    _text("content_type"),
    _int("size_bytes"),
    _time("create_time"),
    _time("update_time"),
    _text("created_by"),
)

document_passages = _table(
    "document_passages",
    _id("document_id"),
    _int("index"),
    _id("project_id"),
    _text("text"),
)

tasks = _table(
    "tasks",
    _id("task_id"),
    _id("project_id"),
    _text("title"),
    _text("description"),
    _text("state"),
    _text("creation_key"),
    _bytes("creation_digest"),
    _id("run_id"),
    _time("create_time"),
    _time("update_time"),
    _text("created_by"),
)

threads = _table(
    "threads",
    _id("thread_id"),
    _id("project_id"),
    _id("agent_id"),
    _text("title"),
    _flag("is_title_edited"),
    _flag("is_active"),
    sa.Column("metadata", JSONB),
    _text("attention_reason"),
    _text("attention_message"),
    _time("attention_time"),
    _int("last_turn"),
    _time("create_time"),
    _time("update_time"),
    _time("delete_time"),
    _text("created_by"),
)

thread_counts = _table("thread_counts", _int("shard"), _int("threads"))

messages = _table(
    "messages",
    _id("message_id"),
    _id("thread_id"),
    _int("turn"),
    _int("index"),
    _text("role"),
    _bytes("content"),
    _flag("is_incomplete"),
    _id("run_id"),
    _int("step"),
    _time("create_time"),
    _text("created_by"),
)

runs = _table(
    "runs",
    _id("run_id"),
    _id("thread_id"),
    _id("project_id"),
    _id("agent_id"),
    _id("agent_version_id"),
    _text("request_id"),
    _int("turn"),
    _text("state"),
    _text("waiting_reason"),
    _text("finish"),
    _bytes("failure"),
    _int("epoch"),
    _int("attempt"),
    _int("last_seq"),
    _id("superseded_by"),
    _int("input_tokens"),
    _int("output_tokens"),
    _int("cached_input_tokens"),
    _int("model_calls"),
    _int("unmetered_model_calls"),
    _int("unpriced_model_calls"),
    _int("cost_micros"),
    _time("create_time"),
    _time("start_time"),
    _time("end_time"),
    _time("cancel_time"),
    _time("model_closed_time"),
    _text("created_by"),
)

run_inputs = _table("run_inputs", _id("run_id"), _id("message_id"))

run_steps = _table(
    "run_steps",
    _id("run_id"),
    _int("step"),
    _int("attempt"),
    _text("state"),
    _int("input_tokens"),
    _int("output_tokens"),
    _int("cached_input_tokens"),
    _text("model"),
    _int("cost_micros"),
    _time("start_time"),
)

tool_executions = _table(
    "tool_executions",
    _id("tool_execution_id"),
    _text("execution_key"),
    _id("run_id"),
    _int("epoch"),
    _id("agent_id"),
    _text("tool"),
    _bytes("arguments_sha256"),
    _text("state"),
    _flag("is_idempotent"),
    _time("lease_time"),
    _int("attempt"),
    _text("reason"),
    _text("content"),
    _flag("is_truncated"),
    _time("create_time"),
    _time("end_time"),
    _text("created_by"),
)
