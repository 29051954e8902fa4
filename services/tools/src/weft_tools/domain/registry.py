"""The tools that there are."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from weft_core.errors import FieldViolation, NotFoundError

from weft_tools.domain.tool import Tool

NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")

Check = Callable[[Mapping[str, Any]], Sequence[FieldViolation]]


class ToolDefinitionError(ValueError):
    """A tool cannot be registered; the message says which and why."""


@dataclass(frozen=True, slots=True)
class RegisteredTool:
    tool: Tool
    check: Check
    """Return where arguments break the tool's schema."""


class Registry:
    """Built once, at start; looked up by name."""

    def __init__(self, tools: Iterable[Tool], compile_schema: Callable[[Tool], Check]) -> None:
        """Raises: ToolDefinitionError."""
        self._tools: dict[str, RegisteredTool] = {}
        for tool in sorted(tools, key=lambda each: each.name):
            _refuse_unusable(tool, self._tools)
            self._tools[tool.name] = RegisteredTool(tool, compile_schema(tool))

    def get(self, name: str) -> RegisteredTool:
        """Raises: NotFoundError."""
        found = self._tools.get(name)
        if found is None:
            raise NotFoundError("TOOL_NOT_FOUND", f"there is no tool {name!r}; list them with ToolService.ListTools")
        return found

    def list_after(self, name: str, limit: int) -> list[Tool]:
        """Return up to `limit` tools behind `name`, by name; "" begins at the first."""
        behind = [registered.tool for each, registered in self._tools.items() if each > name]
        return behind[:limit]


def _refuse_unusable(tool: Tool, known: Mapping[str, RegisteredTool]) -> None:
    if NAME.fullmatch(tool.name) is None:
        raise ToolDefinitionError(f"tool {tool.name!r}: a name is 1 to 64 letters, digits, _ or -")
    if tool.name in known:
        raise ToolDefinitionError(f"tool {tool.name!r} is defined twice")
    if not tool.description.strip():
        raise ToolDefinitionError(f"tool {tool.name!r} has no description: the model would not know when to call it")
    if tool.timeout_seconds <= 0:
        raise ToolDefinitionError(f"tool {tool.name!r}: its timeout must be above 0 seconds")
    if tool.parameters.get("type") != "object":
        raise ToolDefinitionError(f"tool {tool.name!r}: its parameters must be a JSON Schema of type object")
