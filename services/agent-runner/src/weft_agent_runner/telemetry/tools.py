"""Tool calls, watched from outside: a span and a duration for each try."""

from __future__ import annotations

import time
from collections.abc import Sequence

from weft_telemetry import names, state
from weft_telemetry.metrics import recorder
from weft_telemetry.tracing import span

from weft_agent_runner.domain.model import ToolSpec
from weft_agent_runner.domain.outcome import ToolCompleted, ToolFailed, ToolOutcome
from weft_agent_runner.domain.ports import Tools, ToolWatch
from weft_agent_runner.domain.run import ClaimedRun, PlacedToolCall


def observed_tools(tools: Tools) -> Tools:
    """Return `tools` itself where nothing is on."""
    return ObservedTools(tools) if state.installed().is_on else tools


class ObservedTools:
    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._record = recorder(names.TOOL_CALL_DURATION)
        self._is_content_wanted = state.installed().is_content_wanted

    async def list_specs(self, run: ClaimedRun, names: Sequence[str]) -> tuple[ToolSpec, ...]:
        return await self._tools.list_specs(run, names)

    async def execute(self, run: ClaimedRun, place: PlacedToolCall, state: str, watch: ToolWatch) -> ToolOutcome:
        began, fault = time.perf_counter(), ""
        try:
            outcome = await self._execute(run, place, state, watch)
            fault = outcome.reason.value if isinstance(outcome, ToolFailed) else ""
            return outcome
        except BaseException as error:
            fault = type(error).__name__
            raise
        finally:
            self._record(time.perf_counter() - began, names.EXECUTE_TOOL, place.call.name, fault or None)

    async def _execute(self, run: ClaimedRun, place: PlacedToolCall, state: str, watch: ToolWatch) -> ToolOutcome:
        attributes = {
            names.OPERATION: names.EXECUTE_TOOL,
            names.TOOL: place.call.name,
            names.TOOL_TYPE: "function",
            names.TOOL_CALL: place.call.id,
            names.STEP: place.step,
        }
        with span(f"{names.EXECUTE_TOOL} {place.call.name}", attributes) as made:
            if made is not None and self._is_content_wanted:
                made.set_attribute(names.TOOL_ARGUMENTS, place.call.arguments)
            outcome = await self._tools.execute(run, place, state, watch)
            if made is not None and isinstance(outcome, ToolFailed):
                from opentelemetry.trace import StatusCode

                made.set_attribute(names.ERROR_TYPE, outcome.reason.value)
                made.set_status(StatusCode.ERROR)
            if made is not None and self._is_content_wanted and isinstance(outcome, ToolCompleted):
                made.set_attribute(names.TOOL_RESULT, outcome.content)
            return outcome
