"""One attempt at a tool call: the handler, the lease in the journal, and how the two end together."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Any

from weft_core.errors import WeftError, server_stopping

from weft_tools.domain.journal import ExecutionLostError, Journal
from weft_tools.domain.limits import Limits
from weft_tools.domain.outcome import Completed, Failed, FailureReason, Outcome, completed, failed
from weft_tools.domain.patience import any_trouble, patiently
from weft_tools.domain.tool import Arguments, Tool, ToolContext, ToolDeniedError, ToolError

logger = logging.getLogger(__name__)


class StopCause(StrEnum):
    TIMED_OUT = "timed out"
    CALLER_LEFT = "the caller left"
    RUN_ENDED = "the run is over"
    LOST = "another attempt has the call"
    SHUTDOWN = "the server is stopping"


class Attempt:
    """Runs a handler while its lease is kept; `stop` ends it early."""

    def __init__(self, tool: Tool, journal: Journal, context: ToolContext, limits: Limits) -> None:
        self._tool, self._journal, self._context, self._limits = tool, journal, context, limits
        self._stopped: asyncio.Future[StopCause] = asyncio.get_running_loop().create_future()

    def stop(self, cause: StopCause) -> None:
        """The first cause counts."""
        if not self._stopped.done():
            self._stopped.set_result(cause)

    async def run(self, arguments: Arguments) -> Outcome:
        """Return the outcome once the journal has it.

        Raises: ExecutionLostError: the journal knows better; begin again. UnavailableError: the journal was away for
        too long, or the call was given back, because the server stops or the caller left: it can be repeated.
        """
        async with self._lease_kept():
            outcome = await self._outcome(arguments)
            if outcome is not None:
                await self._finish(outcome)
                return outcome
        await self._give_back()
        raise server_stopping()

    async def _outcome(self, arguments: Arguments) -> Outcome | None:
        """Return what the call came to, None when it is to be given back. Raises: ExecutionLostError."""
        if self._stopped.done():
            return _never_begun_outcome(self._stopped.result(), self._tool)
        loop = asyncio.get_running_loop()
        began = loop.time()
        handler = asyncio.create_task(self._handle(arguments))
        try:
            end_cause = await self._first_end(handler)
        finally:
            if not await _end(handler, self._limits.cancel_grace):
                logger.error("tool %s goes on although it was stopped; its task is given up", self._tool.name)
        if end_cause is StopCause.LOST:
            raise ExecutionLostError
        return _outcome_of(handler, end_cause, self._tool, loop.time() - began)

    async def _handle(self, arguments: Arguments) -> Completed:
        began = asyncio.get_running_loop().time()
        try:
            result = await self._tool.handler(arguments, self._context)
        except SystemExit as exit_asked:  # it would end the whole service
            raise ToolError(f"{self._tool.name} tried to end its process") from exit_asked
        return completed(result, asyncio.get_running_loop().time() - began)

    async def _first_end(self, handler: asyncio.Task[Completed]) -> StopCause | None:
        """Return why the handler is to stop, None when it ended by itself."""
        either: set[asyncio.Future[Any]] = {handler, self._stopped}
        await asyncio.wait(either, timeout=self._tool.timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
        if handler.done():
            return None
        return self._stopped.result() if self._stopped.done() else StopCause.TIMED_OUT

    @asynccontextmanager
    async def _lease_kept(self) -> AsyncGenerator[None, None]:
        keeper = asyncio.create_task(self._keep_lease())
        try:
            yield
        finally:
            await _end(keeper, self._limits.cancel_grace)

    async def _keep_lease(self) -> None:
        pause = self._limits.renew_interval
        while True:
            await asyncio.sleep(pause)
            pause = self._limits.renew_interval
            try:
                await self._journal.renew(self._context.execution_id, self._context.attempt, self._limits.lease)
            except ExecutionLostError:
                self.stop(StopCause.LOST)
                return
            except Exception as error:  # whatever it was: nobody else keeps this lease
                logger.warning("the lease of %s was not renewed: %s", self._context.execution_id, error)
                pause = self._limits.renew_interval / 4

    async def _finish(self, outcome: Outcome) -> None:
        """Hand the outcome over. What this process holds is nowhere else, so it waits long for the journal."""
        execution_id, attempt = self._context.execution_id, self._context.attempt
        await patiently(
            lambda: self._journal.finish(execution_id, attempt, outcome), self._limits.result_patience, any_trouble()
        )

    async def _give_back(self) -> None:
        """Let the next attempt begin at once; when that fails, it begins after the lease."""
        try:
            await self._journal.renew(self._context.execution_id, self._context.attempt, self._limits.give_back_lease)
        except (ExecutionLostError, WeftError):
            logger.info("%s was not given back; its lease will run out", self._context.execution_id)


async def _end(task: asyncio.Task[Any], grace_seconds: float) -> bool:
    """Cancel a task and wait for it; tell whether it ended in time."""
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=grace_seconds)
    return bool(done)


def _outcome_of(
    handler: asyncio.Task[Completed], cause: StopCause | None, tool: Tool, seconds: float
) -> Outcome | None:
    """Return what a handler came to, None when the call is to be begun again by whoever asks next.

    A result that came in spite of the stop counts: the effect it tells of has happened.
    """
    if handler.done() and not handler.cancelled():
        error = handler.exception()
        if error is None:
            return handler.result()
        if cause is None:
            return _failure_of(error, tool, seconds)
    if cause is None:
        return failed(FailureReason.FAILED, f"{tool.name} stopped by itself without a result", seconds)
    return _stopped_outcome(cause, tool, seconds)


def _stopped_outcome(cause: StopCause, tool: Tool, seconds: float) -> Failed | None:
    note = "" if tool.is_idempotent else "; its effect may have happened"
    if cause is StopCause.TIMED_OUT:
        return failed(
            FailureReason.TIMED_OUT, f"{tool.name} took longer than {tool.timeout_seconds:g} seconds{note}", seconds
        )
    if cause is StopCause.RUN_ENDED:
        return failed(FailureReason.CANCELLED, f"{tool.name} was stopped: {cause}{note}", seconds)
    if tool.is_idempotent:
        return None
    if cause is StopCause.CALLER_LEFT:
        return failed(FailureReason.CANCELLED, f"{tool.name} was stopped: {cause}{note}", seconds)
    return failed(
        FailureReason.OUTCOME_UNKNOWN,
        f"{tool.name} was interrupted and it is not known whether it had its effect",
        seconds,
    )


def _never_begun_outcome(cause: StopCause, tool: Tool) -> Failed | None:
    if tool.is_idempotent and cause is not StopCause.RUN_ENDED:
        return None
    return failed(FailureReason.CANCELLED, f"{tool.name} was stopped before it began: {cause}")


def _failure_of(error: BaseException, tool: Tool, seconds: float) -> Failed:
    if isinstance(error, ToolError):
        reason = FailureReason.DENIED if isinstance(error, ToolDeniedError) else FailureReason.FAILED
        return failed(reason, str(error), seconds)
    if isinstance(error, WeftError):
        return failed(FailureReason.FAILED, f"{tool.name} failed: {error}", seconds)
    logger.error("tool %s raised", tool.name, exc_info=error)
    return failed(FailureReason.FAILED, f"{tool.name} failed with an internal error ({type(error).__name__})", seconds)
