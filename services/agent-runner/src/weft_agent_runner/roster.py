"""The runs in hand, and the slots for more."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from weft_agent_runner.domain.lease import ClaimBook
from weft_agent_runner.domain.run import ClaimedRun, RunKey
from weft_agent_runner.execution import Execution
from weft_agent_runner.lane import WriteLane
from weft_agent_runner.workshop import Workshop

_LOG = logging.getLogger(__name__)


class Roster:
    def __init__(self, workshop: Workshop, lane: WriteLane, max_runs: int) -> None:
        self._shop, self._lane, self.max_runs = workshop, lane, max_runs
        self._runs: dict[RunKey, tuple[Execution, asyncio.Task[None]]] = {}
        self.claim_book = ClaimBook()
        self.on_end: Callable[[], None] = lambda: None

    @property
    def free_slots(self) -> int:
        return max(0, self.max_runs - len(self._runs))

    def keys(self) -> frozenset[RunKey]:
        return frozenset(self._runs)

    def executions(self) -> list[Execution]:
        return [execution for execution, _ in self._runs.values()]

    def start(self, run: ClaimedRun, asked_at: int) -> None:
        """Begin with a run that was claimed; `asked_at`: when, in ns since 1970."""
        self._shop.telemetry.claimed(run, asked_at)
        execution = Execution(self._shop, self._lane, run)
        task = asyncio.create_task(execution.run(), name=f"run {run.key.run_id}")
        self._runs[run.key] = (execution, task)
        task.add_done_callback(lambda done: self._end(run.key, done))

    def stop(self, run_id: str, epoch: int) -> None:
        """Stop a run at once, if it is in hand under this epoch."""
        for key, (execution, _) in self._runs.items():
            if key.run_id == run_id and key.epoch == epoch:
                execution.stop()

    def drop(self, keys: Sequence[RunKey]) -> None:
        """Stop runs that are not ours any more; nothing is written of them."""
        for key in keys:
            if key in self._runs:
                self._runs[key][0].drop()

    async def drain(self, patience_seconds: float) -> list[RunKey]:
        """Stop all runs without ending them. Returns those to give back."""
        left = list(self._runs.values())
        for execution, _ in left:
            execution.drain()
        if left:
            await asyncio.wait({task for _, task in left}, timeout=patience_seconds)
        to_give_back = [execution.key for execution, _ in left if not execution.is_over]
        self.drop(to_give_back)  # what could not be written by now is written by nobody here
        return to_give_back

    async def cancel_all(self) -> None:
        tasks = [task for _, task in self._runs.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _end(self, key: RunKey, task: asyncio.Task[None]) -> None:
        del self._runs[key]
        self.on_end()
        if not task.cancelled() and task.exception() is not None:
            _LOG.error("run %s: its execution failed", key.run_id, exc_info=task.exception())
