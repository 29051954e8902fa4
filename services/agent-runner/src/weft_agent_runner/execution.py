"""One run in hand: its loop as a task that can be cut off at any await, and what is written then."""

import asyncio
import logging
from enum import IntEnum

from weft_telemetry.work import work_for

from weft_agent_runner.domain.book import Book
from weft_agent_runner.domain.decisions import before_closing, closing
from weft_agent_runner.domain.entry import (
    Act,
    Entry,
    EntryError,
    EntryResult,
    Fail,
    FailureReason,
    Park,
    RunLostError,
    Stop,
    Succeed,
    TimeOut,
    Transition,
)
from weft_agent_runner.domain.ports import PeerUnavailableError
from weft_agent_runner.domain.run import ClaimedRun, RunKey
from weft_agent_runner.lane import WriteLane
from weft_agent_runner.loop import RunLoop
from weft_agent_runner.workshop import Workshop

_LOG = logging.getLogger(__name__)
_FAULT = "a fault of Weft; the logs have it under the id of the run"


class Cut(IntEnum):
    """Why a loop is cut off. A later value goes before an earlier one."""

    NONE = 0
    TIMED_OUT = 1
    STOPPED = 2
    REFUSED = 3
    DRAINED = 4
    LOST = 5


_STATES = {Succeed: "succeeded", Fail: "failed", Stop: "cancelled", TimeOut: "timed_out", Park: "waiting"}
_OUTCOMES = {Cut.DRAINED: "given_back", Cut.LOST: "lost"}


class Execution:
    def __init__(self, workshop: Workshop, lane: WriteLane, run: ClaimedRun) -> None:
        self._shop, self._run = workshop, run
        self.started_at = workshop.clock.monotonic()
        self._book = Book(run)
        self._line = lane.open(run, self)
        self._loop = RunLoop(workshop, run, self._book, self._line, self.started_at + run.remaining_seconds)
        self._task: asyncio.Task[None] | None = None
        self._cut = Cut.STOPPED if run.is_stop_requested else Cut.NONE
        self._refusal = ""
        self._ended_as = ""
        workshop.transcripts.claimed(run)

    @property
    def key(self) -> RunKey:
        return self._run.key

    @property
    def activity(self) -> str:
        return self._loop.activity if self._cut is Cut.NONE else f"{self._loop.activity}, {self._cut.name.lower()}"

    @property
    def outcome(self) -> str:
        """How the run left this runner, for telemetry."""
        return self._ended_as or _OUTCOMES.get(self._cut, "failed")

    @property
    def is_over(self) -> bool:
        """True when the queue has no run here any more to give back."""
        return self._book.is_over or self._cut is Cut.LOST

    def stop(self) -> None:
        self._cut_off(Cut.STOPPED)

    def drop(self) -> None:
        """Stop without writing anything: the run is not ours any more."""
        self._line.lose()

    def drain(self) -> None:
        """Stop without writing how it ended: the run goes on elsewhere."""
        self._cut_off(Cut.DRAINED)

    # What the write lane tells.

    def on_written(self, entry: Entry, result: EntryResult) -> None:
        self._book.apply(entry, result)
        self._shop.transcripts.written(entry)
        if entry.act is not None and entry.act.transition is not None:
            self._ended_as = _STATES[type(entry.act.transition)]

    def on_stop_requested(self) -> None:
        self.stop()

    def on_refused(self, error: EntryError) -> None:
        self._refusal = str(error)
        self._cut_off(Cut.REFUSED)

    def on_lost(self) -> None:
        self._cut_off(Cut.LOST)

    def _cut_off(self, cut: Cut) -> None:
        is_first = self._cut is Cut.NONE
        self._cut = max(cut, self._cut)
        if is_first and self._task is not None:
            self._task.cancel()  # once: a second one would break off the closing of the model's stream

    async def run(self) -> None:
        """Execute the run until it is over, or cut off and closed."""
        work_for(tenant_id=self.key.tenant_id, run_id=self.key.run_id, thread_id=self._run.thread_id)
        with self._shop.telemetry.in_hand(self._run, lambda: self.outcome):
            await self._execute()

    async def _execute(self) -> None:
        try:
            if self._cut is Cut.NONE:
                await self._loop_until_cut()
            await self._close()
        except RunLostError:
            _LOG.info("run %s, epoch %d: taken over, or ended elsewhere", self.key.run_id, self.key.epoch)
        finally:
            self._line.close()

    async def _loop_until_cut(self) -> None:
        self._task = asyncio.create_task(self._loop.run(), name=f"loop of {self.key.run_id}")
        try:
            await asyncio.wait({self._task}, timeout=self._run.remaining_seconds)
            if not self._task.done():
                self._cut_off(Cut.TIMED_OUT)
        finally:
            if not self._task.cancelling():
                self._task.cancel()
            await asyncio.wait({self._task})  # the model's stream and the tool calls are closed before anything else

    async def _close(self) -> None:
        """Write how the run ended, unless its loop has done so."""
        try:
            await self._line.settled()
        except EntryError as error:
            self._refusal = str(error)
        transition = self._ending()
        if transition is None:
            return
        book = self._book
        if book.step is not None:
            self._line.emit(book.end_call(None))
        act = Act()
        try:
            while results := before_closing(book):
                await self._line.commit(results)
            act = closing(book, transition, _told(transition), self._shop.clock.monotonic())
            await self._line.commit(act)
        except EntryError as error:
            _LOG.error("run %s: its end is refused, ending without its messages: %s", self.key.run_id, error)
            await self._end_bare(Act(act.finish_step, transition=Fail(FailureReason.INTERNAL, _FAULT)))

    async def _end_bare(self, act: Act) -> None:
        try:
            await self._line.commit(act)
        except EntryError as error:
            _LOG.error("run %s cannot be ended, its deadline will do so: %s", self.key.run_id, error)

    def _ending(self) -> Transition | None:
        """Return how the run is to end; None when it is over, or goes on elsewhere."""
        if self._book.is_over or self._cut in (Cut.DRAINED, Cut.LOST):
            return None
        if self._cut is Cut.STOPPED:
            return Stop()
        if self._cut is Cut.TIMED_OUT:
            return TimeOut()
        return self._fault()

    def _fault(self) -> Fail:
        error = None if self._task is None or self._task.cancelled() else self._task.exception()
        if isinstance(error, RunLostError):
            raise error
        if isinstance(error, PeerUnavailableError):
            _LOG.error("run %s: what it needs could not be loaded: %s", self.key.run_id, error)
            return Fail(FailureReason.INTERNAL, "what the run needs could not be loaded; the logs tell more")
        _LOG.error("run %s failed by a fault: %s", self.key.run_id, self._refusal or repr(error), exc_info=error)
        return Fail(FailureReason.INTERNAL, _FAULT)


def _told(transition: Transition) -> str:
    match transition:
        case Stop():
            return "stopped"
        case TimeOut():
            return "the run reached its limit of running time"
        case Fail(message=message):
            return message
        case _:
            return ""
