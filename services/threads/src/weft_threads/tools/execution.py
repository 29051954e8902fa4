"""Tool calls as the journal knows them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID


class State(StrEnum):
    """Where a call is. Only `started` is left again; `denied` calls never began."""

    STARTED = "started"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class RunPlace:
    """Where in a run a call stands."""

    step: int
    index: int


@dataclass(frozen=True, slots=True)
class Call:
    """Which call it is and what it asks for. `key` is a caller's `request_id`, or a place in the token's run."""

    agent_id: UUID | None
    tool: str
    arguments_sha256: bytes
    key: str | RunPlace


@dataclass(frozen=True, slots=True)
class Asked:
    """A process asks to execute a call, and to hold it for `lease`."""

    call: Call
    project_id: UUID | None
    is_idempotent: bool
    lease: timedelta


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a call takes place, and which tools are allowed there."""

    agent_id: UUID
    project_id: UUID
    thread_id: UUID | None
    run_id: UUID | None
    epoch: int | None
    allowed_tools: frozenset[str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended: `content` is the result, or why there is none; `reason` is empty for a result."""

    state: State
    content: str
    is_truncated: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Execution:
    """A row of the journal."""

    tool_execution_id: UUID
    tool: str
    arguments_sha256: bytes
    state: State
    is_idempotent: bool
    is_held: bool
    lease_time: datetime | None
    attempt: int
    reason: str = ""
    content: str = ""
    is_truncated: bool = False
    duration: timedelta | None = None

    def outcome(self) -> Outcome:
        return Outcome(self.state, self.content, self.is_truncated, self.reason)


@dataclass(frozen=True, slots=True)
class Begun:
    """The answer to `Asked`: the row as it is now; with a setting, it is the asker's to execute."""

    execution: Execution
    setting: Setting | None


UNKNOWN_OUTCOME = Outcome(
    State.UNKNOWN,
    "The call began, and nobody knows how it ended: it may have had its effect, and is not repeated.",
    reason="outcome_unknown",
)
