"""A tool, and what its handler is given."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from weft_tools.domain.resources import Documents, Projects, Tasks

DEFAULT_TIMEOUT_SECONDS: Final = 300.0

Arguments = Mapping[str, Any]
Report = Callable[[str, float | None], None]


class ToolError(Exception):
    """A tool could not do what it was asked for. The model is told the message: say what to do instead."""


class ToolDeniedError(ToolError):
    """What the tool was asked for is not allowed. It is journaled as denied, with the message."""


@dataclass(frozen=True, slots=True)
class ToolContext:
    """What a handler knows of the call. `execution_id` is the same for every attempt: an idempotent tool keys by it.

    `report(message, fraction)` tells watchers how far it is and never waits. `run_id` and `thread_id` are empty without
    a run. `state` is what a tool that keeps state returned last in this conversation, empty at first; whoever calls
    without a run sends what they like.
    """

    execution_id: str
    attempt: int
    project_id: str
    agent_id: str
    thread_id: str
    run_id: str
    documents: Documents
    projects: Projects
    tasks: Tasks
    report: Report
    state: str = ""


Handler = Callable[[Arguments, ToolContext], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Tool:
    """`parameters` is the JSON Schema of the arguments, of type object.

    The handler returns what the model is given: a text, or what becomes JSON. It is cancelled after `timeout_seconds`.
    Only a tool that is idempotent is called again when nobody knows how a call ended.

    A tool that `keeps_state` is given what it returned last in the conversation; calls of it in one turn are made one
    after another. Its results must stay below 64 KiB, or its state is cut.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    handler: Handler
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    is_idempotent: bool = False
    keeps_state: bool = False
