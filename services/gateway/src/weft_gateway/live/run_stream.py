"""A run as it is streamed: the log from any point, then what comes live, to the terminal event."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final

from weft_core.caller import Caller
from weft_core.ids import format_id
from weft_grpckit.program import end_tasks
from weft_telemetry import names
from weft_telemetry.metrics import Record, recorder

from weft_gateway.live.frames import keepalive, response_of, successor_of
from weft_gateway.live.hub import Hub
from weft_gateway.live.log import EventLog, Page
from weft_gateway.live.news import News
from weft_gateway.live.watch import Due, Watch

# What Redis may still bring in another order than it was written.
_GAP_SECONDS: Final = 0.02
# How long a watch waits for threads: a new one lets its caller decide soon, a running one outlives a restart.
FIRST_PATIENCE_SECONDS: Final = 5.0
PATIENCE_SECONDS: Final = 60.0


class RunStreams:
    """Opens streams of runs. Responses are bytes, many watchers of a run share theirs."""

    def __init__(self, hub: Hub, log: EventLog, keepalive_seconds: float) -> None:
        self._hub, self._log, self._keepalive_seconds = hub, log, keepalive_seconds
        self._refilled = recorder(names.LIVE_REFILLS)

    async def follow(
        self, caller: Caller, run_id: str, after_seq: int, *, follow_successor: bool, first_event: bytes = b""
    ) -> AsyncGenerator[bytes, None]:
        """Yield a run's events and keep-alives to its end; where wanted, those of the run that took it over, too.

        `first_event` is that of a run that the caller has just made: then what follows is awaited live, without a read
        of the log, which would hold up the run's own first steps.
        """
        is_entitled = False
        while run_id:
            opened = self.opened(caller, run_id, after_seq, is_entitled=is_entitled)
            async with opened as stream, aclosing(self._to_its_end(stream)) as responses:
                if first_event:
                    stream.begin_behind(first_event)
                    yield response_of((first_event,))
                    first_event = b""
                async for response in responses:
                    yield response
                # Who may see a run may see what took it over: it lies in the same thread.
                run_id, after_seq, is_entitled = await stream.successor() if follow_successor else "", 0, True

    @asynccontextmanager
    async def opened(
        self,
        caller: Caller,
        run_id: str,
        after_seq: int,
        *,
        is_entitled: bool,
        is_interrupted: Callable[[], bool] = lambda: False,
    ) -> AsyncIterator["RunStream"]:
        """Watch a run. `is_entitled` says that the caller is known to have a right to it."""
        watch = Watch(format_id("ten", caller.tenant_id), run_id, after_seq, is_entitled=is_entitled)
        stream = RunStream(watch, caller, self._log, is_interrupted, self._refilled)
        with self._hub.watching(watch):
            await self._hub.subscribe(watch)
            try:
                yield stream
            finally:
                await stream.close()

    async def _to_its_end(self, stream: "RunStream") -> AsyncGenerator[bytes, None]:
        last_sent = _now()
        is_ended = False
        while not is_ended:
            due = await stream.due(last_sent + self._keepalive_seconds)
            if due is None:
                due = Due(keepalive(stream.run_id, stream.last_seq), is_terminal=False)
            if due.response:
                yield due.response
                last_sent = _now()
            is_ended = due.is_terminal


class RunStream:
    """One stream's way through the log and what comes live. `is_interrupted` ends a wait for what is due."""

    __slots__ = (
        "_caller",
        "_has_followed",
        "_is_interrupted",
        "_last",
        "_log",
        "_must_read",
        "_reading",
        "_refilled",
        "_watch",
    )

    def __init__(
        self, watch: Watch, caller: Caller, log: EventLog, is_interrupted: Callable[[], bool], refilled: Record
    ) -> None:
        """`refilled` is told each time that live events are missing: 1, and why."""
        self._watch, self._caller, self._log, self._is_interrupted = watch, caller, log, is_interrupted
        self._refilled = refilled
        self._reading: asyncio.Task[Page] | None = None
        self._must_read = self._has_followed = True
        self._last = b""

    def begin_behind(self, first_event: bytes) -> None:
        """Begin behind the first event of a run that its watcher has just made."""
        self._watch.take_logged(first_event, 1, is_ended=False, head_seq=1)
        self._must_read = self._has_followed = False

    @property
    def run_id(self) -> str:
        return self._watch.watched_id

    @property
    def last_seq(self) -> int:
        """The seq of the last event that was due."""
        return self._watch.next_seq - 1

    @property
    def news(self) -> News:
        """Whom to tell after an interruption."""
        return self._watch

    async def close(self) -> None:
        if self._reading is not None:
            await end_tasks((self._reading,))

    async def successor(self) -> str:
        """Return the run that took over this one, whose terminal event was due; "" where none did."""
        if not self._last:  # the caller had all of it before
            self._watch.next_seq -= 1
            self._last = (await self._read()).response
        return successor_of(self._last)

    async def due(self, until: float) -> Due | None:
        """Return the next response, None when none came by `until` or an interruption."""
        due = await self._next(until)
        if due is not None and due.is_terminal:
            self._last = due.response
        return due

    async def _next(self, until: float) -> Due | None:
        while self._reading is None and not self._must_read:
            due = self._watch.take_live()
            if due is not None:
                self._has_followed = True
                return due
            if self._watch.is_behind:
                due = await self._gap_closed()
                if due is not None:
                    return due
                self._refilled(1, self._watch.taken_loss())
                self._must_read = True
            elif not await self._watch.news(until - _now()) or self._is_interrupted():
                return None
        return await self._page(until)

    async def _gap_closed(self) -> Due | None:
        """Return what follows if it comes live, a little late. Not so where the subscription itself came too late."""
        end = _now() + (_GAP_SECONDS if self._has_followed else 0)
        while await self._watch.news(end - _now()):
            due = self._watch.take_live()
            if due is not None:
                return due
        return None

    async def _page(self, until: float) -> Due | None:
        """Return the next page of the log, None when it did not come by `until`: it stays under way."""
        if self._reading is None:
            self._must_read = False
            self._reading = asyncio.create_task(self._read())
        await asyncio.wait((self._reading,), timeout=max(until - _now(), 0))
        if not self._reading.done():
            return None
        page, self._reading = self._reading.result(), None
        self._must_read = bool(page.response) and page.last_seq < page.head_seq
        return self._watch.take_logged(page.response, page.last_seq, page.is_ended, page.head_seq)

    def _read(self) -> Coroutine[Any, Any, Page]:
        watch = self._watch
        return self._log.read(
            self._caller,
            watch.watched_id,
            watch.next_seq - 1,
            # A watch that was open before the run's thread was deleted is served to its end.
            serve_deleted=watch.is_entitled,
            patience=PATIENCE_SECONDS if watch.is_entitled else FIRST_PATIENCE_SECONDS,
        )


def _now() -> float:
    return asyncio.get_running_loop().time()
