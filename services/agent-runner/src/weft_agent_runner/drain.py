"""Giving everything back: the runs go on elsewhere, at once."""

import asyncio
import logging

from weft_agent_runner.claimer import Claimer
from weft_agent_runner.domain.ports import PeerUnavailableError, RunQueue
from weft_agent_runner.lane import WriteLane
from weft_agent_runner.roster import Roster
from weft_agent_runner.tenure import Tenure

_LOG = logging.getLogger(__name__)

# Without an answer of threads by then the runs are left to the end of the lease.
_PATIENCE_SECONDS = 4.0


class Drainer:
    def __init__(self, queue: RunQueue, claimer: Claimer, roster: Roster, lane: WriteLane, tenure: Tenure) -> None:
        self._queue, self._claimer, self._roster = queue, claimer, roster
        self._lane, self._tenure = lane, tenure

    @property
    def is_draining(self) -> bool:
        return self._claimer.is_draining

    async def drain_quietly(self) -> None:
        await self.drain()

    async def drain(self) -> int:
        """Take up no more runs, and give back those in hand. Returns how many were given back."""
        await self._claimer.drain()
        keys = await self._roster.drain(_PATIENCE_SECONDS)
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._lane.idle()  # what is under way for them must not come after they are given back
                return await self._queue.release(self._tenure.runner_id, keys) if keys else 0
        except (TimeoutError, PeerUnavailableError) as error:
            _LOG.warning("%d runs are left to the end of the lease: %r", len(keys), error)
            return 0
