"""Takes up runs while there are free slots: when the bell rings, when a slot becomes free or a run ends unheard by the
bell, and now and then anyway."""

import asyncio
import logging
import random
import time

from weft_agent_runner.domain.lease import Claims
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


class Claimer:
    def __init__(self, queue: RunQueue, roster: Roster, tenure: Tenure, bell: Doorbell) -> None:
        self._queue, self._roster, self._tenure, self._bell = queue, roster, tenure, bell
        self._wake = asyncio.Event()
        self._has_slot = asyncio.Event()
        self._claiming = asyncio.Lock()
        self._is_bell_heard = False
        self.is_draining = False
        roster.on_end = self._run_ended

    async def run(self) -> None:
        """Claim until cancelled."""
        listening = asyncio.create_task(self._listen(), name="doorbell")
        try:
            while True:
                await self._tenure.wait()
                await self._claim_all()
                await self._rest()
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def drain(self) -> None:
        """Take up no more runs; return when no claim is under way."""
        self.is_draining = True
        async with self._claiming:
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
            wanted = min(self._roster.free_slots, RUNS_PER_CLAIM)
            if wanted == 0 or self.is_draining:
                return False
            number = self._roster.claims.begun + 1
            self._roster.claims = Claims(begun=number, ended=number - 1)
            try:
                asked_at = time.time_ns()
                runs = await self._queue.claim(self._tenure.runner_id, wanted)
                for run in runs:
                    self._roster.start(run, asked_at)
            finally:
                self._roster.claims = Claims(begun=number, ended=number)
            return len(runs) == wanted

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
