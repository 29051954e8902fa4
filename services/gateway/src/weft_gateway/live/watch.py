"""One watcher's place in a run's log, and what came for it meanwhile. No I/O: the stream asks it what is next."""

import asyncio
from dataclasses import dataclass
from typing import Final

from weft_gateway.live.frames import Batch

# Above this a watcher reads the log instead: it is slower than the run, and must not slow others.
_MAX_BATCHES: Final = 256
_MAX_BYTES: Final = 1024 * 1024
# A stream's message: large enough to catch up fast, small enough for a reader that is slow.
_MAX_RESPONSE_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Due:
    """The next response of a stream."""

    response: bytes
    is_terminal: bool


class Watch:
    """Where a watcher is. `next_seq` is the first event that it has not been given.

    Most of thousands of watches have nothing waiting: they are kept small.
    """

    __slots__ = (
        "_has_news",
        "_head",
        "_waiter",
        "_waiting",
        "_waiting_bytes",
        "is_entitled",
        "next_seq",
        "run_id",
        "tenant_id",
    )

    def __init__(self, tenant_id: str, run_id: str, after_seq: int, *, is_entitled: bool = False) -> None:
        self.tenant_id, self.run_id = tenant_id, run_id
        self.next_seq = after_seq + 1
        # Until the log was read for its caller, nothing shows that the run is theirs.
        self.is_entitled = is_entitled
        self._head = after_seq
        self._waiting: list[Batch] = []
        self._waiting_bytes = 0
        self._has_news = False
        self._waiter: asyncio.Future[None] | None = None

    @property
    def is_behind(self) -> bool:
        """Tell whether there are events that this watcher has not been given."""
        return self._head >= self.next_seq

    def push(self, batch: Batch) -> None:
        """Take what came live."""
        self._head = max(self._head, batch.last_seq)
        if len(self._waiting) >= _MAX_BATCHES or self._waiting_bytes + len(batch.response) > _MAX_BYTES:
            self._drop_waiting()
        else:
            self._waiting.append(batch)
            self._waiting_bytes += len(batch.response)
        self._tell()

    def note_head(self, seq: int) -> None:
        """Take word that the log goes up to `seq`."""
        if seq > self._head:
            self._head = seq
            self._tell()

    def take_live(self) -> Due | None:
        """Return what came live and follows on what the watcher has; None where nothing does."""
        pieces: list[bytes] = []
        size, is_terminal = 0, False
        while self._waiting and self._waiting[0].first_seq <= self.next_seq and size < _MAX_RESPONSE_BYTES:
            batch = self._waiting.pop(0)
            self._waiting_bytes -= len(batch.response)
            if batch.last_seq < self.next_seq:
                continue
            piece = batch.response_from(self.next_seq)
            pieces.append(piece)
            size += len(piece)
            self.next_seq = batch.last_seq + 1
            is_terminal = batch.is_terminal
        if not pieces:
            return None
        return Due(pieces[0] if len(pieces) == 1 else b"".join(pieces), is_terminal)

    def take_logged(self, response: bytes, last_seq: int, is_ended: bool, head_seq: int) -> Due:
        """Take a page of the log that follows on what the watcher has; up to `last_seq`, of a log up to `head_seq`."""
        self.is_entitled = True
        self.next_seq = last_seq + 1
        self._head = max(self._head, head_seq)
        return Due(response, is_ended and last_seq >= head_seq)

    async def news(self, timeout_seconds: float) -> bool:
        """Wait for anything that `push` or `note_head` brings; tell whether it came in time."""
        if not self._has_news:
            loop = asyncio.get_running_loop()
            self._waiter = waiter = loop.create_future()
            # One timer and one wake-up: with hundreds of watchers `asyncio.wait` costs an eighth or more of the time.
            timer = loop.call_later(max(timeout_seconds, 0), _wake, waiter)
            try:
                await waiter
            finally:
                self._waiter = None
                timer.cancel()
        had_news, self._has_news = self._has_news, False
        return had_news

    def _tell(self) -> None:
        self._has_news = True
        if self._waiter is not None:
            _wake(self._waiter)

    def _drop_waiting(self) -> None:
        self._waiting.clear()
        self._waiting_bytes = 0


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
