"""Takes up runs while there are free slots: when the bell rings, when a slot becomes free or a run ends unheard by the
bell, and now and then anyway."""

import asyncio
import logging
import random
import time

from weft_agent_runner.domain.ports import (
    Doorbell,
    LeaseExpiredError,
    PeerUnavailableError,
    RunnerUnknownError,
    RunQueue,
)
from weft_agent_runner.roster import Roster
from weft_agent_runner.tenure import Tenure

_LOG = logging.getLogger(__name__)

# A claim answers when all its runs are taken up: with more at once, the first would wait, and another runner's
# slots stay empty.
RUNS_PER_CLAIM = 8
POLL_SECONDS = 1.0
_BELL_SECONDS = 5.0
HOLD_SECONDS = 0.5  # a drain waits for its end


class Claimer:
    def __init__(self, queue: RunQueue, roster: Roster, tenure: Tenure, bell: Doorbell) -> None:
        self._queue, self._roster, self._tenure, self._bell = queue, roster, tenure, bell
        self._wake = asyncio.Event()
        self._has_slot = asyncio.Event()
        self._claiming, self._holding = asyncio.Lock(), asyncio.Lock()
        self._asked_for = 0
        self._is_bell_heard = False
        self.is_draining = False
        roster.on_end = self._run_ended

    async def run(self) -> None:
        """Claim until cancelled."""
        beside = [
            asyncio.create_task(self._listen(), name="doorbell"),
            asyncio.create_task(self._hold(), name="held claim"),
        ]
        try:
            while True:
                await self._tenure.wait()
                await self._claim_all()
                await self._rest()
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)

    async def drain(self) -> None:
        """Take up no more runs; return when no claim is under way."""
        self.is_draining = True
        async with self._claiming, self._holding:
            pass

    def _run_ended(self) -> None:
        """Claim at once what the bell has not told of: it was not listened to while all slots were taken, or Redis is
        away. Else it rings for the thread's next run by itself."""
        if not self._has_slot.is_set() or not self._is_bell_heard:
            self._wake.set()
        self._has_slot.set()

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS * (0.5 + random.random() / 2)):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    async def _claim_all(self) -> None:
        try:
            while await self._claim_some():
                pass
        except (PeerUnavailableError, LeaseExpiredError, RunnerUnknownError) as error:
            _LOG.debug("no claim: %r", error)  # the lease keeper finds out, and says so
        if self._roster.free_slots == 0:
            self._has_slot.clear()
        else:
            self._has_slot.set()

    async def _claim_some(self) -> bool:
        """Take up a few runs. Returns whether there may be more."""
        async with self._claiming:
            wanted = min(self._roster.free_slots - self._asked_for, RUNS_PER_CLAIM)
            if wanted < 1 or self.is_draining:
                return False
            return await self._claim(wanted) == wanted

    async def _claim(self, wanted: int, wait_seconds: float = 0.0) -> int:
        """Ask for runs and begin with those that come. Returns how many."""
        self._asked_for += wanted
        number = self._roster.claim_book.begin()
        try:
            asked_at = time.time_ns()
            runs = await self._queue.claim(self._tenure.runner_id, wanted, wait_seconds)
            for run in runs:
                # When a claim that was held was heard is not known: its runs count from their arrival.
                self._roster.start(run, time.time_ns() if wait_seconds else asked_at)
            return len(runs)
        finally:
            self._roster.claim_book.end(number)
            self._asked_for -= wanted

    async def _hold(self) -> None:
        """Keep a claim open at the queue, which answers when a run becomes ready there: quicker than bell and claim."""
        while not self.is_draining:
            await self._tenure.wait()
            await self._has_slot.wait()
            began_at = time.monotonic()
            got = await self._hold_once()
            if not got and time.monotonic() - began_at < HOLD_SECONDS / 2:
                await asyncio.sleep(HOLD_SECONDS)  # the queue is away, or holds no claims

    async def _hold_once(self) -> int:
        async with self._holding:
            # A part of the slots only: the bell may tell of runs at another replica of the queue.
            wanted = min((self._roster.free_slots - self._asked_for) // 2, RUNS_PER_CLAIM)
            if wanted < 1 or self.is_draining:
                return 0
            try:
                return await self._claim(wanted, HOLD_SECONDS)
            except (PeerUnavailableError, LeaseExpiredError, RunnerUnknownError) as error:
                _LOG.debug("no claim is held: %r", error)
                return 0

    async def _listen(self) -> None:
        """Listen for the bell while there is a free slot, so that it wakes a runner that can take the run."""
        while True:
            await self._has_slot.wait()
            if self.is_draining:
                self._has_slot.clear()
                continue
            asked_at = time.monotonic()
            rang = await self._bell.wait(_BELL_SECONDS)
            # Without Redis the wait ends early, and silently.
            self._is_bell_heard = rang or time.monotonic() - asked_at > _BELL_SECONDS / 2
            if rang:
                self._wake.set()
