"""One watcher's place in a run's log, and what came for it meanwhile. No I/O: the stream asks it what is next."""

from dataclasses import dataclass
from typing import Final

from weft_gateway.live.frames import Batch
from weft_gateway.live.news import News

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


class Watch(News):
    """Where a watcher is. `next_seq` is the first event that it has not been given.

    Most of thousands of watches have nothing waiting: they are kept small.
    """

    __slots__ = (
        "_head",
        "_waiting",
        "_waiting_bytes",
        "_was_slow",
        "is_entitled",
        "next_seq",
        "tenant_id",
        "watched_id",
    )

    def __init__(self, tenant_id: str, run_id: str, after_seq: int, *, is_entitled: bool = False) -> None:
        super().__init__()
        self.tenant_id, self.watched_id = tenant_id, run_id
        self.next_seq = after_seq + 1
        # Until the log was read for its caller, nothing shows that the run is theirs.
        self.is_entitled = is_entitled
        self._head = after_seq
        self._waiting: list[Batch] = []
        self._waiting_bytes = 0
        self._was_slow = False

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
        self.tell()

    def note_head(self, seq: int) -> None:
        """Take word that the log goes up to `seq`."""
        if seq > self._head:
            self._head = seq
            self.tell()

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

    def taken_loss(self) -> str:
        """Return why live events are missing, since this was asked last: `slow_watcher`, or a `gap` on the wire."""
        was_slow, self._was_slow = self._was_slow, False
        return "slow_watcher" if was_slow else "gap"

    def _drop_waiting(self) -> None:
        self._was_slow = True
        self._waiting.clear()
        self._waiting_bytes = 0
