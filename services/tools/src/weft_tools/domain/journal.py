"""The journal of tool calls: who is at a call, and what it came to."""

from dataclasses import dataclass
from typing import Protocol

from weft_tools.domain.outcome import FailureReason, Outcome


class ExecutionLostError(Exception):
    """The call is not this attempt's any more: what stands in the journal counts."""


@dataclass(frozen=True, slots=True)
class RequestKey:
    """Chosen by a caller, unique within the tenant."""

    request_id: str


@dataclass(frozen=True, slots=True)
class RunPlace:
    """Model call and place among its tool calls; the run is the token's."""

    step: int
    index: int


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call as it was asked for. `agent_id` and `project_id` are empty where the token or a default says them.

    `state` is what a tool that keeps state said last, as far as the asker knows.
    """

    key: RequestKey | RunPlace
    name: str
    arguments_json: str
    agent_id: str = ""
    project_id: str = ""
    run_id: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class Claimed:
    """The call is the asker's: execute it."""

    project_id: str
    agent_id: str
    thread_id: str = ""
    run_id: str = ""


@dataclass(frozen=True, slots=True)
class Finished:
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class InProgress:
    """Another process is at it: begin again a little later."""


@dataclass(frozen=True, slots=True)
class Begun:
    """`execution_id` is the same for every attempt; `attempt` names this one."""

    execution_id: str
    attempt: int
    standing: Claimed | Finished | InProgress


class Journal(Protocol):
    """Bound to one caller. Failures are WeftErrors; UnavailableError may be repeated."""

    async def begin(self, call: Call, digest: bytes, *, is_idempotent: bool, lease_seconds: float) -> Begun:
        """Allow a call and take it, or tell what became of it."""
        ...

    async def renew(self, execution_id: str, attempt: int, lease_seconds: float) -> None:
        """Raises: ExecutionLostError."""
        ...

    async def finish(self, execution_id: str, attempt: int, outcome: Outcome) -> None:
        """Store the first outcome. Raises: ExecutionLostError."""
        ...

    async def record_denied(self, call: Call, digest: bytes, reason: FailureReason) -> None:
        """Record a call that was refused before it could begin."""
        ...
