"""A thread as it is streamed: its own log, and in it the events of the run that goes on."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from typing import Final

from weft.gateway.v1 import agent_gateway_service_pb2 as pb
from weft_core.caller import Caller
from weft_core.errors import OutOfRangeError
from weft_core.ids import format_id
from weft_grpckit.program import end_tasks

from weft_gateway.live.hub import Hub
from weft_gateway.live.log import EventLog, ThreadPage
from weft_gateway.live.run_stream import FIRST_PATIENCE_SECONDS, PATIENCE_SECONDS, RunStream, RunStreams
from weft_gateway.live.thread_frames import run_items, thread_keepalive
from weft_gateway.live.thread_watch import ThreadPlace, ThreadWatch

# A read of the log for a watch that begins where the log ends.
NOW: Final = None


class ThreadStreams:
    """Opens streams of threads. Responses are bytes."""

    def __init__(self, hub: Hub, log: EventLog, runs: RunStreams, keepalive_seconds: float) -> None:
        self._hub, self._log, self._runs, self._keepalive_seconds = hub, log, runs, keepalive_seconds

    async def follow(self, caller: Caller, request: pb.ThreadEventsRequest) -> AsyncGenerator[bytes, None]:
        """Yield a thread's items and keep-alives until it is deleted."""
        after = request.after
        watch = ThreadWatch(format_id("ten", caller.tenant_id), request.thread_id, after.thread_seq)
        place = ThreadPlace(after.thread_seq, after.run_id, after.run_seq)
        stream = ThreadStream(watch, place, caller, self._log, self._runs)
        with self._hub.watching(watch):
            await self._hub.subscribe(watch)
            async with stream, aclosing(self._to_its_end(stream, from_now=request.from_now)) as responses:
                async for response in responses:
                    yield response

    async def _to_its_end(self, stream: "ThreadStream", *, from_now: bool) -> AsyncGenerator[bytes, None]:
        await stream.begin(from_now=from_now)
        last_sent = _now()
        if from_now:
            yield stream.keepalive()
        while not stream.is_over:
            items = await stream.due(last_sent + self._keepalive_seconds)
            yield stream.keepalive() if items is None else items
            last_sent = _now()


class ThreadStream:
    """One stream's way through a thread. Used as a context manager, which ends what it has opened."""

    __slots__ = ("_caller", "_log", "_opened", "_place", "_reading", "_run", "_runs", "_watch")

    def __init__(self, watch: ThreadWatch, place: ThreadPlace, caller: Caller, log: EventLog, runs: RunStreams) -> None:
        self._watch, self._place, self._caller, self._log, self._runs = watch, place, caller, log, runs
        self._reading: asyncio.Task[ThreadPage] | None = None
        self._run: RunStream | None = None
        self._opened: AsyncExitStack | None = None

    async def __aenter__(self) -> "ThreadStream":
        return self

    async def __aexit__(self, *_exc: object) -> None:
        if self._reading is not None:
            await end_tasks((self._reading,))
        await self._close_run()

    @property
    def is_over(self) -> bool:
        return self._place.is_over

    async def begin(self, *, from_now: bool) -> None:
        """Read for the first time. Raises: OutOfRangeError CURSOR_OUT_OF_RANGE, NotFoundError THREAD_NOT_FOUND."""
        self._watch.is_rung = False
        page = await self._read(NOW if from_now else self._watch.read_seq, with_open_run=True)
        place = self._place
        if place.run_id not in ("", page.open_run_id):
            raise OutOfRangeError(
                "CURSOR_OUT_OF_RANGE",
                f"{place.run_id} was not going on at thread_seq {place.thread_seq}; pass a cursor as it came",
                metadata={"last_seq": str(page.head_seq)},
            )
        place.run_id = page.open_run_id
        if from_now:
            place.thread_seq = self._watch.read_seq = page.head_seq
        self._take(page)

    async def due(self, until: float) -> bytes | None:
        """Return the next response, None when none came by `until`."""
        while True:
            items = self._place.give() or await self._more(until)
            if items:
                return items + self._place.cursor
            if items is None:
                return None

    async def _more(self, until: float) -> bytes | None:
        """Return items of the run that goes on; empty where the thread may have some now; None: none came in time."""
        if self._may_read:
            return b"" if await self._read_on(until) else None
        if self._place.awaits_run:
            items = await self._run_due(until)
            return b"" if items is None and self._may_read else items
        return b"" if await self._watch.news(until - _now()) else None

    def keepalive(self) -> bytes:
        return thread_keepalive(self._place.thread_seq) + self._place.cursor

    @property
    def _may_read(self) -> bool:
        return (self._watch.is_rung or self._reading is not None) and not self._place.is_held_back

    async def _read_on(self, until: float) -> bool:
        """Read the next page, tell whether it came by `until`: else it stays under way."""
        if self._reading is None:
            self._watch.is_rung = False
            self._reading = asyncio.create_task(self._read(self._watch.read_seq, with_open_run=False))
        await asyncio.wait((self._reading,), timeout=max(until - _now(), 0))
        if not self._reading.done():
            return False
        page, self._reading = self._reading.result(), None
        self._take(page)
        return True

    async def _read(self, after_seq: int | None, *, with_open_run: bool) -> ThreadPage:
        watch = self._watch
        return await self._log.read_thread(
            self._caller,
            watch.watched_id,
            after_seq,
            with_open_run=with_open_run,
            # A watch that was open before the thread was deleted is served to its end.
            serve_deleted=watch.is_entitled,
            patience=PATIENCE_SECONDS if watch.is_entitled else FIRST_PATIENCE_SECONDS,
        )

    def _take(self, page: ThreadPage) -> None:
        self._watch.is_entitled = True
        self._watch.read_seq += len(page.items)
        if self._watch.read_seq < page.head_seq and page.items:
            self._watch.is_rung = True
        self._place.take_read(page.items)

    async def _run_due(self, until: float) -> bytes | None:
        """Return the next items of the run that goes on, none where it had ended; None where none came in time."""
        run = self._run or await self._open_run()
        due = await run.due(until)
        if due is None:
            return None
        self._place.gave_run(run.last_seq, is_terminal=due.is_terminal)
        if due.is_terminal:
            await self._close_run()
        return run_items(due.response)

    async def _open_run(self) -> RunStream:
        opened = self._opened = AsyncExitStack()
        place = self._place
        self._run = await opened.enter_async_context(
            self._runs.opened(
                self._caller,
                place.run_id,
                place.run_seq,
                is_entitled=True,  # it lies in the thread
                is_interrupted=lambda: self._may_read,
            )
        )
        self._watch.also = self._run.news
        return self._run

    async def _close_run(self) -> None:
        opened, self._opened, self._run, self._watch.also = self._opened, None, None, None
        if opened is not None:
            await opened.aclose()


def _now() -> float:
    return asyncio.get_running_loop().time()
