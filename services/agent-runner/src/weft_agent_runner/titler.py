"""Makes titles, beside the runs: a title is worth nothing that a run would have to wait for."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from weft_agent_runner.domain.agent import Equipment
from weft_agent_runner.domain.entry import RunLostError
from weft_agent_runner.domain.model import Model, ModelCallError, ModelMessage, ModelRequest, ModelUsage
from weft_agent_runner.domain.ports import PeerUnavailableError
from weft_agent_runner.domain.run import ClaimedRun
from weft_agent_runner.domain.title import MAX_ANSWER_CHARACTERS, title_in, title_request

_LOG = logging.getLogger(__name__)

AT_ONCE = 4
"""Model calls for titles; so many connections they may take beside those of runs."""
_MAX_WAITING = 64


class TitleQueue(Protocol):
    async def offer_title(
        self, run: ClaimedRun, title: str, model: str, usage: ModelUsage | None, cost_micros: int | None
    ) -> bool:
        """Return whether the thread has it now. Raises: PeerUnavailableError. RunLostError."""


class Titler(Protocol):
    def offer(self, run: ClaimedRun, equipment: Equipment, conversation: Sequence[ModelMessage]) -> None:
        """Make a title for the thread of a run that has ended, some time or never. Never blocks, never raises."""


class NoTitler:
    """Where titles are not wanted."""

    def offer(self, run: ClaimedRun, equipment: Equipment, conversation: Sequence[ModelMessage]) -> None:
        pass


class ModelTitler:
    """Best effort: what fails, is too much at once, or is under way when the process ends is left."""

    def __init__(self, model: Model, queue: TitleQueue) -> None:
        self._model, self._queue = model, queue
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    def offer(self, run: ClaimedRun, equipment: Equipment, conversation: Sequence[ModelMessage]) -> None:
        request = title_request(equipment.model, conversation) if run.wants_title else None
        if request is None:
            return
        if len(self._tasks) >= _MAX_WAITING:
            _LOG.info("run %s: no title, too many are being made", run.key.run_id)
            return
        paid = replace(request, api_key=equipment.api_key)
        task = asyncio.create_task(self._make(run, equipment, paid), name=f"title after {run.key.run_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _make(self, run: ClaimedRun, equipment: Equipment, request: ModelRequest) -> None:
        try:
            async with self._slots:
                answer, usage = await self._ask(request)
            if title := title_in(answer):
                cost = equipment.cost_micros(usage)
                await self._queue.offer_title(run, title, request.model, usage, cost)
        except (ModelCallError, PeerUnavailableError, RunLostError) as error:
            _LOG.info("run %s: no title: %s", run.key.run_id, error)
        except Exception:
            _LOG.exception("run %s: no title, by a fault", run.key.run_id)

    async def _ask(self, request: ModelRequest) -> tuple[str, ModelUsage | None]:
        """Return the answer, or the beginning of one that is too long for a title."""
        async with self._model.call(request) as call:
            async for _ in call:
                if len(call.partial_text) > MAX_ANSWER_CHARACTERS:
                    return call.partial_text, None
            return call.completion.text, call.completion.usage
