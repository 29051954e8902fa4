"""A run as it is streamed: the log from any point, then what comes live, to the terminal event."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from typing import Any, Final

from weft_core.caller import Caller
from weft_core.ids import format_id
from weft_grpckit.program import end_tasks

from weft_gateway.live.frames import keepalive, successor_of
from weft_gateway.live.hub import Hub
from weft_gateway.live.log import Page, RunLog
from weft_gateway.live.watch import Due, Watch

# What Redis may still bring in another order than it was written.
_GAP_SECONDS: Final = 0.02
# How long a watch waits for threads: a new one lets its caller decide soon, a running one outlives a restart.
_FIRST_PATIENCE_SECONDS: Final = 5.0
_PATIENCE_SECONDS: Final = 60.0


class RunStreams:
    """Opens streams of runs. Responses are bytes, many watchers of a run share theirs."""

    def __init__(self, hub: Hub, log: RunLog, keepalive_seconds: float) -> None:
        self._hub, self._log, self._keepalive_seconds = hub, log, keepalive_seconds

    async def follow(
        self, caller: Caller, run_id: str, after_seq: int, *, follow_successor: bool
    ) -> AsyncGenerator[bytes, None]:
        """Yield a run's events and keep-alives to its end; where wanted, those of the run that took it over, too."""
        tenant_id = format_id("ten", caller.tenant_id)
        watch: Watch | None = Watch(tenant_id, run_id, after_seq)
        while watch is not None:
            stream = RunStream(watch, caller, self._log, self._keepalive_seconds)
            async with aclosing(self._watched(watch, stream)) as responses:
                async for response in responses:
                    yield response
            successor = await stream.successor() if follow_successor else ""
            # Who may see a run may see what took it over: it lies in the same thread.
            watch = Watch(tenant_id, successor, 0, is_entitled=True) if successor else None

    async def _watched(self, watch: Watch, stream: "RunStream") -> AsyncGenerator[bytes, None]:
        with self._hub.watching(watch):
            await self._hub.subscribe(watch)
            async with aclosing(stream.responses()) as responses:
                async for response in responses:
                    yield response


class RunStream:
    """One stream's way through the log and what comes live."""

    __slots__ = ("_caller", "_keepalive_seconds", "_last", "_last_sent", "_log", "_must_read", "_reading", "_watch")

    def __init__(self, watch: Watch, caller: Caller, log: RunLog, keepalive_seconds: float) -> None:
        self._watch, self._caller, self._log = watch, caller, log
        self._keepalive_seconds = keepalive_seconds
        self._last_sent = self._now()
        self._reading: asyncio.Task[Page] | None = None
        self._must_read = True
        self._last = b""

    async def responses(self) -> AsyncGenerator[bytes, None]:
        """Yield responses until the terminal event was in one, keep-alives where there is silence."""
        try:
            is_ended = False
            while not is_ended:
                due = await self._due(self._last_sent + self._keepalive_seconds)
                if due is None:
                    due = Due(keepalive(self._watch.run_id, self._watch.next_seq - 1), is_terminal=False)
                if due.response:
                    yield due.response
                    self._last_sent = self._now()
                if due.is_terminal:
                    is_ended, self._last = True, due.response
        finally:
            if self._reading is not None:
                await end_tasks((self._reading,))

    async def successor(self) -> str:
        """Return the run that took over this one, which was streamed to its end; "" where none did."""
        if not self._last:  # the caller had all of it before
            self._watch.next_seq -= 1
            self._last = (await self._read()).response
        return successor_of(self._last)

    async def _due(self, until: float) -> Due | None:
        """Return the next response, None when none came by `until`."""
        while self._reading is None and not self._must_read:
            due = self._watch.take_live()
            if due is not None:
                return due
            if self._watch.is_behind:
                due = await self._gap_closed()
                if due is not None:
                    return due
                self._must_read = True
            elif not await self._watch.news(until - self._now()):
                return None
        return await self._page(until)

    async def _gap_closed(self) -> Due | None:
        """Return what follows if it comes live after all, a little late."""
        end = self._now() + _GAP_SECONDS
        while await self._watch.news(end - self._now()):
            due = self._watch.take_live()
            if due is not None:
                return due
        return None

    async def _page(self, until: float) -> Due | None:
        """Return the next page of the log, None when it did not come by `until`: it stays under way."""
        if self._reading is None:
            self._must_read = False
            self._reading = asyncio.create_task(self._read())
        await asyncio.wait((self._reading,), timeout=max(until - self._now(), 0))
        if not self._reading.done():
            return None
        page, self._reading = self._reading.result(), None
        self._must_read = bool(page.response) and page.last_seq < page.head_seq
        return self._watch.take_logged(page.response, page.last_seq, page.is_ended, page.head_seq)

    def _read(self) -> Coroutine[Any, Any, Page]:
        watch = self._watch
        return self._log.read(
            self._caller,
            watch.run_id,
            watch.next_seq - 1,
            # A watch that was open before the run's thread was deleted is served to its end.
            serve_deleted=watch.is_entitled,
            patience=_PATIENCE_SECONDS if watch.is_entitled else _FIRST_PATIENCE_SECONDS,
        )

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
