"""What is told of tool calls: how long, how they ended, for which tenant; and a span for the tool's own work."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from weft_core.caller import Caller
from weft_core.ids import format_id
from weft_telemetry import names, state
from weft_telemetry.metrics import recorder
from weft_telemetry.tracing import span

from weft_tools.domain.execution import Event
from weft_tools.domain.outcome import Completed, Failed
from weft_tools.domain.tool import Arguments, Tool, ToolContext

SUCCEEDED = "SUCCEEDED"


def watched(tool: Tool) -> Tool:
    """Return a tool whose handler works in a span of its own; the same where traces are off."""
    if state.installed().tracer is None:
        return tool
    handler = tool.handler

    async def handle(arguments: Arguments, context: ToolContext) -> object:
        with span(f"{names.HANDLE_SPAN} {tool.name}", {names.TOOL: tool.name, names.ATTEMPT: context.attempt}):
            return await handler(arguments, context)

    return replace(tool, handler=handle)


class ToolUse:
    """Counts calls as they end."""

    def __init__(self) -> None:
        self._is_on = state.installed().meter is not None
        self._record = recorder(names.TOOL_USE)

    def begin(self, caller: Caller, tool: str) -> Callable[[Event], None]:
        """Return what is told of each event of the call."""
        if not self._is_on:
            return _ignore
        began, tenant = time.perf_counter(), format_id("ten", caller.tenant_id)

        def seen(event: Any) -> None:
            if isinstance(event, Completed | Failed):
                outcome = SUCCEEDED if isinstance(event, Completed) else event.reason.value
                self._record(time.perf_counter() - began, tenant, tool, outcome)

        return seen


def _ignore(event: Event) -> None:
    """Nobody counts."""
