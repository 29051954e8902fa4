"""The life of a run, as data: the schema's guards, the diagram in the docs and the tests follow this table."""

from collections.abc import Mapping
from enum import StrEnum


class RunState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    SUPERSEDED = "superseded"


NEXT: Mapping[RunState, frozenset[RunState]] = {
    RunState.QUEUED: frozenset(
        {RunState.RUNNING, RunState.CANCELLED, RunState.SUPERSEDED, RunState.TIMED_OUT},
    ),
    RunState.RUNNING: frozenset(
        {
            RunState.WAITING,
            RunState.SUCCEEDED,
            RunState.FAILED,
            RunState.CANCELLED,
            RunState.SUPERSEDED,
            RunState.TIMED_OUT,
        }
    ),
    RunState.WAITING: frozenset(
        {RunState.QUEUED, RunState.CANCELLED, RunState.SUPERSEDED, RunState.TIMED_OUT},
    ),
    RunState.SUCCEEDED: frozenset(),
    RunState.FAILED: frozenset(),
    RunState.CANCELLED: frozenset(),
    RunState.TIMED_OUT: frozenset(),
    RunState.SUPERSEDED: frozenset(),
}
TERMINAL = frozenset(state for state, following in NEXT.items() if not following)
ACTIVE = frozenset({RunState.RUNNING, RunState.WAITING})
