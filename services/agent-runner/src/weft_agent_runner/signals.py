"""Cancel signals: the quick way to be told that a run is to stop. Lost ones come with the answers of the queue."""

import asyncio
import logging
from contextlib import aclosing

from weft_wire.cancel_signals import CancelSignals

from weft_agent_runner.roster import Roster
from weft_agent_runner.tenure import Tenure

_LOG = logging.getLogger(__name__)

_PAUSE_SECONDS = 1.0


class SignalFollower:
    def __init__(self, signals: CancelSignals, tenure: Tenure, roster: Roster) -> None:
        self._signals, self._tenure, self._roster = signals, tenure, roster

    async def run(self) -> None:
        """Follow the channel of this runner, and of the next one after registering anew, until cancelled."""
        runner_id = await self._tenure.other_runner_id("")
        while True:
            following = asyncio.create_task(self._follow(runner_id), name=f"signals of {runner_id}")
            try:
                runner_id = await self._tenure.other_runner_id(runner_id)
            finally:
                following.cancel()
                await asyncio.wait({following})

    async def _follow(self, runner_id: str) -> None:
        while True:
            try:
                async with aclosing(self._signals.follow(runner_id)) as signals:
                    async for signal in signals:
                        self._roster.stop(signal.run_id, signal.epoch)
            except Exception:
                _LOG.exception("cancel signals of %s broke off; heartbeats carry them meanwhile", runner_id)
            await asyncio.sleep(_PAUSE_SECONDS)
