"""One model call with its tries: from a begun step to a message that is written."""

import asyncio
import logging

from weft_agent_runner.domain.agent import Equipment, context_bytes, model_request
from weft_agent_runner.domain.book import Book
from weft_agent_runner.domain.decisions import after_completion, begin_next, closing, cut_attempt, retry
from weft_agent_runner.domain.entry import Fail, FailureReason, Park
from weft_agent_runner.domain.model import ModelCallError, ModelCompletion
from weft_agent_runner.domain.retries import TryAgain, after_failure, told_to_people
from weft_agent_runner.domain.run import BegunStep, ClaimedRun
from weft_agent_runner.lane import Line
from weft_agent_runner.workshop import Workshop

_LOG = logging.getLogger(__name__)

# The run's own deadline comes first, so that a call which is cut by it is no failure of the model.
_BEYOND_DEADLINE_SECONDS = 5.0


class ModelTurn:
    def __init__(
        self, workshop: Workshop, run: ClaimedRun, book: Book, line: Line, equipment: Equipment, deadline: float
    ) -> None:
        self._shop, self._run, self._book, self._line = workshop, run, book, line
        self.equipment, self._deadline = equipment, deadline

    async def execute(self) -> None:
        """Ask the model until a message of it is written, or the run is over."""
        book, begin, tries = self._book, begin_next(self._book), 0
        while not book.is_over:
            if book.step is None:
                await self._line.commit(begin)
            step = _open_step(book)
            if await self._fails_for_size():
                return
            try:
                completion = await self._attempt(step)
            except ModelCallError as error:
                tries += 1
                await self._after_failure(step, error, tries)
                begin = retry(step)
            else:
                text = book.answer.text if book.answer is not None else ""
                cost = self.equipment.cost_micros(completion.usage)
                self._shop.telemetry.cost(self.equipment.model, cost)
                self._line.emit(book.end_call(completion.usage, cost))
                await self._line.commit(after_completion(self.equipment, step, text, completion))
                return

    async def _attempt(self, step: BegunStep) -> ModelCompletion:
        remaining = self._deadline - self._shop.clock.monotonic()
        self.equipment = await self._shop.equipper.renewed(self._run, self.equipment, remaining)
        await self._shop.trust.wait()
        remaining = self._deadline - self._shop.clock.monotonic()
        request = model_request(
            self.equipment, tuple(self._book.conversation), step.step, remaining + _BEYOND_DEADLINE_SECONDS
        )
        answer = self._book.open_answer(step, request.model)
        try:
            async with self._shop.model.call(request) as call:
                async for piece in call:
                    self._line.emit(*answer.add(piece))
                    if self._line.outbox.is_full:
                        await self._line.room()
                return call.completion
        except asyncio.CancelledError:
            self._book.model_closed_at = self._shop.clock.monotonic()
            raise

    async def _after_failure(self, step: BegunStep, error: ModelCallError, tries: int) -> None:
        run_id = self._line.outbox.key.run_id
        _LOG.warning("run %s, model call %d.%d: %s: %s", run_id, step.step, step.attempt, error.fault, error)
        decision = after_failure(
            error,
            tries=tries,
            attempt=step.attempt,
            max_tries=self.equipment.agent.max_tries,
            random=self._shop.random,
        )
        self._line.emit(self._book.end_call(None))
        told = told_to_people(error)
        if isinstance(decision, Fail):
            await self._line.commit(closing(self._book, decision, told, self._shop.clock.monotonic()))
        elif isinstance(decision, Park):
            await self._line.commit(cut_attempt(self._book, step, told, decision))
        elif isinstance(decision, TryAgain):
            await self._line.commit(cut_attempt(self._book, step, told))
            await asyncio.sleep(decision.after_seconds)

    async def _fails_for_size(self) -> bool:
        size, limit = context_bytes(tuple(self._book.conversation)), self._shop.limits.max_context_bytes
        if size <= limit:
            return False
        failure = Fail(FailureReason.CONTEXT_TOO_LARGE, f"the context has {size} bytes; at most {limit} are taken")
        await self._line.commit(closing(self._book, failure, failure.message, self._shop.clock.monotonic()))
        return True


def _open_step(book: Book) -> BegunStep:
    if book.step is None:
        raise RuntimeError("the queue began no step")
    return book.step
