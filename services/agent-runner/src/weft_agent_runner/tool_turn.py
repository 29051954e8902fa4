"""The tool calls of one model message: in parallel, their results written in the order of the calls.

Only calls of a tool that keeps state are made one after another: each is given what the one before made of it.
"""

import asyncio
from dataclasses import dataclass, field

from weft_agent_runner.domain.agent import Equipment
from weft_agent_runner.domain.book import Book
from weft_agent_runner.domain.decisions import after_tool_results
from weft_agent_runner.domain.events import ToolExecuting, ToolProgress
from weft_agent_runner.domain.outcome import (
    ToolCompleted,
    ToolFailed,
    ToolFailureReason,
    ToolOutcome,
    refused_before_start,
)
from weft_agent_runner.domain.ports import PeerFaultError, PeerUnavailableError
from weft_agent_runner.domain.run import ClaimedRun, PlacedToolCall
from weft_agent_runner.lane import Line
from weft_agent_runner.workshop import Workshop, patiently


class ToolTurn:
    def __init__(self, workshop: Workshop, run: ClaimedRun, book: Book, line: Line, equipment: Equipment) -> None:
        self._shop, self._run, self._book, self._line = workshop, run, book, line
        self._equipment, self._slates = equipment, dict[str, _Slate]()

    async def execute(self) -> None:
        """Execute the calls that have no result yet, write the results, and begin the next model call."""
        self._slates.clear()
        tasks = {asyncio.create_task(self._call(place)): place for place in self._book.calls}
        waiting = set(tasks)
        try:
            while waiting:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    self._book.outcomes[tasks[task].index] = task.result()
                while act := after_tool_results(self._book):
                    await self._line.commit(act)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _call(self, place: PlacedToolCall) -> ToolOutcome:
        refused = refused_before_start(place, self._equipment.agent.max_tool_calls_per_turn)
        if refused is not None:
            return refused
        name = place.call.name
        if not self._equipment.keeps_state(name):
            return await self._made(place, "")
        if name not in self._slates:
            self._slates[name] = _Slate(self._book.conversation.state_of(name))
        slate = self._slates[name]
        # It is had in the order in which it is asked for, and the tasks begin in the order of their calls.
        async with slate.lock:
            outcome = await self._made(place, slate.state)
            if isinstance(outcome, ToolCompleted):
                slate.state = outcome.content
            return outcome

    async def _made(self, place: PlacedToolCall, state: str) -> ToolOutcome:
        watch = _Watch(place, self._line)
        try:
            return await patiently(
                lambda: self._try(place, state, watch), self._shop.limits.tools_patience_seconds, self._shop.random
            )
        except PeerUnavailableError as error:
            return _unavailable(place, error, watch.has_begun)

    async def _try(self, place: PlacedToolCall, state: str, watch: "_Watch") -> ToolOutcome:
        await self._shop.trust.wait()
        self._book.sent_calls.add(place.index)
        return await self._shop.tools.execute(self._run, place, state, watch)


@dataclass(slots=True)
class _Slate:
    """What a tool that keeps state has said last, in this turn or before it."""

    state: str
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class _Watch:
    """Tells watchers of the run how a call goes."""

    def __init__(self, place: PlacedToolCall, line: Line) -> None:
        self._place, self._line = place, line
        self.has_begun = False

    def begun(self) -> None:
        if not self.has_begun:  # a repeated call says it again
            self.has_begun = True
            self._line.emit(ToolExecuting(self._place))

    def progress(self, message: str, fraction: float | None) -> None:
        if not self._line.outbox.is_full:  # nothing depends on it: what cannot be kept is left out
            self._line.emit(ToolProgress(self._place, message, fraction))


def _unavailable(place: PlacedToolCall, error: PeerUnavailableError, has_begun: bool) -> ToolFailed:
    if has_begun:
        told = "the tools service went away during the call; whether the call took effect is unknown"
        return ToolFailed(place, ToolFailureReason.OUTCOME_UNKNOWN, told, may_have_happened=True)
    if isinstance(error, PeerFaultError):
        return ToolFailed(place, ToolFailureReason.FAILED, f"the tools service failed: {error}")
    return ToolFailed(place, ToolFailureReason.UNAVAILABLE, "the tools service cannot be reached; the call never began")
