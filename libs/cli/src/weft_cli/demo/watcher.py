"""A watcher: collects events as they come, and wakes who waits for some."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

from weft.runs.v1.event_pb2 import RunEvent

from weft_cli.api import Api
from weft_cli.demo.checks import CheckFailedError
from weft_cli.demo.log import Seen

SILENCE_SECONDS = 15.0


class Watcher:
    """Run `watch` as a task; `until` waits for what the watch collects."""

    def __init__(self, show: Callable[[RunEvent], None] = lambda _event: None) -> None:
        self.seen: list[Seen] = []
        self._show = show
        self._is_over = False
        self._came = asyncio.Condition()

    async def watch(self, api: Api, run_id: str, after_seq: int = 0) -> list[Seen]:
        """Return everything after `after_seq` once the run has ended."""
        async with aclosing(api.watch(run_id, after_seq)) as events:
            while (event := await self._next(events)) is not None:
                self._show(event)
                await self._note(Seen(event, time.time()))
        await self._note(None)
        return self.seen

    async def _next(self, events: AsyncIterator[RunEvent]) -> RunEvent | None:
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                return await anext(events, None)
        except TimeoutError:
            seen = [item.event.seq for item in self.seen[-3:]]
            raise CheckFailedError("log.flow", f"no event for {SILENCE_SECONDS:.0f} s; last seqs: {seen}") from None

    async def until(self, kind: str, count: int = 1) -> None:
        """Wait for so many events of a kind. Raises: CheckFailedError: the run ended before."""
        async with self._came:
            await self._came.wait_for(lambda: self._is_over or self._count(kind) >= count)
        if self._count(kind) < count:
            kinds = [item.kind for item in self.seen]
            raise CheckFailedError("events.enough", f"the run ended before {count} {kind} came: {kinds}")

    async def _note(self, item: Seen | None) -> None:
        async with self._came:
            if item is None:
                self._is_over = True
            else:
                self.seen.append(item)
            self._came.notify_all()

    def _count(self, kind: str) -> int:
        return sum(item.kind == kind for item in self.seen)
