"""Tenants, agents, projects, documents, tasks, threads, runs, their events and steps, the queue, roles."""

from weft_threads.migrations.sql_files import run_sql

revision = "0002"
down_revision = None


def upgrade() -> None:
    run_sql("001_tables.sql", "002_runs.sql", "003_queue.sql", "004_lookup.sql", "004_tools.sql", "005_security.sql")
