"""Taking tool calls, and ending those under way when the service stops."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from contextvars import Context

from weft_core.errors import InvalidArgumentError, NotFoundError, server_stopping

from weft_tools.domain.arguments import arguments_invalid, digest_of_text, parse_arguments
from weft_tools.domain.attempt import StopCause
from weft_tools.domain.execution import Event, Execution, Session
from weft_tools.domain.journal import Call
from weft_tools.domain.limits import Limits
from weft_tools.domain.outcome import FailureReason, Outcome
from weft_tools.domain.patience import patiently
from weft_tools.domain.registry import Registry
from weft_tools.domain.tool import Arguments, Tool

logger = logging.getLogger(__name__)


class Executor:
    """`detached_context` makes the context of a task that outlives its call: without the call's deadline."""

    def __init__(self, registry: Registry, limits: Limits, detached_context: Callable[[], Context]) -> None:
        self._registry, self._limits, self._detached_context = registry, limits, detached_context
        self._under_way: dict[asyncio.Task[Outcome], Execution] = {}
        self._is_closed = False

    @property
    def under_way(self) -> int:
        """How many calls are carried, watched or not."""
        return len(self._under_way)

    async def execute(self, call: Call, session: Session) -> AsyncGenerator[Event, None]:
        """Yield `Executing`, progress, and the outcome.

        Closing the iterator early stops a caller's call, and leaves a run's to whoever asks for it next, unless the
        run is over.
        """
        tool, arguments = await self._admit(call, session)
        if self._is_closed:
            raise server_stopping()
        execution = Execution(call, tool, arguments, session, self._limits)
        carrying = asyncio.create_task(execution.carry(), context=self._detached_context())
        self._under_way[carrying] = execution
        carrying.add_done_callback(self._forget)
        try:
            async with aclosing(execution.events(carrying)) as events:
                async for event in events:
                    yield event
        finally:
            execution.leave()

    async def close(self, grace_seconds: float) -> None:
        """Let what is under way end, for `grace_seconds`; then stop it and journal that."""
        self._is_closed = True
        await self._wait(grace_seconds)
        for execution in self._under_way.values():
            execution.stop(StopCause.SHUTDOWN)
        await self._wait(2 * self._limits.cancel_grace)
        for task in self._under_way:
            task.cancel()
        await self._wait(self._limits.cancel_grace)

    async def _admit(self, call: Call, session: Session) -> tuple[Tool, Arguments]:
        try:
            registered = self._registry.get(call.name)
            arguments = parse_arguments(call.arguments_json)
            if violations := registered.check(arguments):
                raise arguments_invalid(violations)
        except NotFoundError:
            await self._record_denied(call, session, FailureReason.UNKNOWN_TOOL)
            raise
        except InvalidArgumentError:
            await self._record_denied(call, session, FailureReason.ARGUMENTS_INVALID)
            raise
        return registered.tool, arguments

    async def _record_denied(self, call: Call, session: Session, reason: FailureReason) -> None:
        digest = digest_of_text(call.arguments_json)
        await patiently(lambda: session.journal.record_denied(call, digest, reason), self._limits.patience)

    async def _wait(self, seconds: float) -> None:
        if self._under_way:
            await asyncio.wait(set(self._under_way), timeout=seconds)

    def _forget(self, task: asyncio.Task[Outcome]) -> None:
        self._under_way.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.info("a tool call ended without an outcome: %s", error)
