"""A tool call from its beginning in the journal to its outcome, watched or not."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from weft_core.errors import UnavailableError, WeftError, server_stopping
from weft_core.text import cut_to_code_points, storable

from weft_tools.domain.arguments import digest_of
from weft_tools.domain.attempt import Attempt, StopCause
from weft_tools.domain.journal import Begun, Call, Claimed, ExecutionLostError, Finished, Journal
from weft_tools.domain.limits import Limits
from weft_tools.domain.outcome import Completed, Failed, Outcome
from weft_tools.domain.patience import patiently
from weft_tools.domain.resources import Documents, Projects, Runs, Tasks
from weft_tools.domain.tool import Arguments, Tool, ToolContext

MAX_PROGRESS_WAITING: Final = 100
MAX_PROGRESS_CHARACTERS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Executing:
    execution_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Progress:
    message: str
    fraction: float | None = None


Event = Executing | Progress | Completed | Failed


@dataclass(frozen=True, slots=True)
class Session:
    """What a caller's token opens."""

    journal: Journal
    documents: Documents
    projects: Projects
    tasks: Tasks
    runs: Runs


class Execution:
    """Carries one call. It outlives its watcher, because what it began has to be journaled.

    `carry` runs in a task of its own; `events` is what the watcher reads, who says `leave` when it goes.
    """

    def __init__(self, call: Call, tool: Tool, arguments: Arguments, session: Session, limits: Limits) -> None:
        self._call, self._tool, self._arguments = call, tool, arguments
        self._session, self._limits = session, limits
        self._digest = digest_of(arguments)
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()
        self._left = asyncio.Event()
        self._stop_cause: StopCause | None = None
        self._attempt: Attempt | None = None

    async def events(self, carrying: asyncio.Task[Outcome]) -> AsyncGenerator[Event, None]:
        """Yield what happens, the outcome last. Raises: what `carry` raised."""
        carrying.add_done_callback(lambda _: self._events.put_nowait(None))
        while (event := await self._events.get()) is not None:
            yield event
        if carrying.cancelled():
            raise server_stopping()
        yield carrying.result()

    def leave(self) -> None:
        self._left.set()

    def stop(self, cause: StopCause) -> None:
        self._stop_cause = self._stop_cause or cause
        if self._attempt is not None:
            self._attempt.stop(cause)

    async def carry(self) -> Outcome:
        begun = await self._begin()
        self._events.put_nowait(Executing(begun.execution_id, begun.attempt))
        give_up_at = asyncio.get_running_loop().time() + self._tool.timeout_seconds + self._limits.patience
        while True:
            if isinstance(begun.standing, Finished):
                return begun.standing.outcome
            if isinstance(begun.standing, Claimed):
                try:
                    return await self._execute(begun, begun.standing)
                except ExecutionLostError:
                    pass
            else:
                await self._wait_for_other(give_up_at)
            begun = await self._begin()

    async def _begin(self) -> Begun:
        return await patiently(
            lambda: self._session.journal.begin(
                self._call, self._digest, is_idempotent=self._tool.is_idempotent, lease_seconds=self._limits.lease
            ),
            self._limits.patience,
        )

    async def _wait_for_other(self, give_up_at: float) -> None:
        if self._left.is_set() or self._stop_cause is not None:
            raise server_stopping()
        if asyncio.get_running_loop().time() >= give_up_at:
            raise UnavailableError(
                "SERVICE_UNAVAILABLE",
                "the call is under way for longer than its tool may take; ask again with the same key",
                retry_after_seconds=self._limits.lease,
            )
        await _within(self._limits.poll_interval, self._left.wait)

    async def _execute(self, begun: Begun, claimed: Claimed) -> Outcome:
        attempt = Attempt(self._tool, self._session.journal, self._context(begun, claimed), self._limits)
        cause = self._stop_cause or await self._cause_to_stop(claimed.run_id)
        if cause is not None:
            attempt.stop(cause)
        self._attempt = attempt
        leaving = asyncio.create_task(self._stop_when_unwanted(attempt, claimed.run_id))
        try:
            return await attempt.run(self._arguments)
        finally:
            self._attempt = None
            leaving.cancel()
            await asyncio.wait({leaving})

    async def _stop_when_unwanted(self, attempt: Attempt, run_id: str) -> None:
        await self._left.wait()
        while (cause := await self._cause_to_stop(run_id)) is None:  # noqa: ASYNC110 (it changes in another process)
            await asyncio.sleep(self._limits.poll_interval)
        attempt.stop(cause)

    async def _cause_to_stop(self, run_id: str) -> StopCause | None:
        """Tell why the call need not go on: nobody watches, and no run waits for it.

        A runner that died leaves as one that was told to stop does. The run's state tells them apart: after a death
        the next runner asks for the same call, and is to find it done.
        """
        if not self._left.is_set():
            return None
        if not run_id:
            return StopCause.CALLER_LEFT
        return None if await self._is_wanted(run_id) else StopCause.RUN_ENDED

    async def _is_wanted(self, run_id: str) -> bool:
        try:
            return await self._session.runs.is_wanted(run_id)
        except WeftError:  # nobody knows: the tool's timeout is the bound
            return True

    def _context(self, begun: Begun, claimed: Claimed) -> ToolContext:
        return ToolContext(
            execution_id=begun.execution_id,
            attempt=begun.attempt,
            project_id=claimed.project_id,
            agent_id=claimed.agent_id,
            thread_id=claimed.thread_id,
            run_id=claimed.run_id,
            documents=self._session.documents,
            projects=self._session.projects,
            tasks=self._session.tasks,
            report=self._report,
            state=self._call.state if self._tool.keeps_state else "",
        )

    def _report(self, message: str, fraction: float | None = None) -> None:
        if self._left.is_set() or self._events.qsize() >= MAX_PROGRESS_WAITING:
            return
        known = None if fraction is None or fraction != fraction else min(max(fraction, 0.0), 1.0)
        self._events.put_nowait(Progress(storable(cut_to_code_points(message, MAX_PROGRESS_CHARACTERS)), known))


async def _within(seconds: float, wait: Callable[[], Awaitable[object]]) -> None:
    """Await `wait()` for `seconds` at most."""
    try:
        async with asyncio.timeout(seconds):
            await wait()
    except TimeoutError:
        pass
