"""One watcher's place in the life of a thread. No I/O: the stream asks it what is next."""

from collections.abc import Sequence

from weft_gateway.live.frames import Batch
from weft_gateway.live.news import News
from weft_gateway.live.thread_frames import ThreadItem, cursor


class ThreadWatch(News):
    """Hears that a thread's log has grown. `also` is told too: the run that is streamed meanwhile."""

    __slots__ = ("also", "is_entitled", "is_rung", "read_seq", "tenant_id", "watched_id")

    def __init__(self, tenant_id: str, thread_id: str, after_seq: int) -> None:
        super().__init__()
        self.tenant_id, self.watched_id = tenant_id, thread_id
        # Until the log was read for its caller, nothing shows that the thread is theirs.
        self.is_entitled = False
        # Whether the log may hold more than was read, up to `read_seq`.
        self.is_rung, self.read_seq = True, after_seq
        self.also: News | None = None

    def push(self, _batch: Batch) -> None:
        """Take word that the log has grown."""
        self.is_rung = True
        self.tell()
        if self.also is not None:
            self.also.tell()

    def note_head(self, seq: int) -> None:
        """Take word that the log goes up to `seq`."""
        if seq > self.read_seq:
            self.push(RING)


class ThreadPlace:
    """What of a thread a watcher has been given: its own events, and those of the run that goes on there.

    All events of a run go between its marks: what the log has from `run_ended` on is held back until they are given.
    """

    __slots__ = ("_is_run_whole", "_read", "is_over", "run_id", "run_seq", "thread_seq")

    def __init__(self, thread_seq: int, run_id: str, run_seq: int) -> None:
        self.thread_seq, self.run_id, self.run_seq = thread_seq, run_id, run_seq
        self._is_run_whole = False
        self._read: list[ThreadItem] = []
        self.is_over = False

    @property
    def is_held_back(self) -> bool:
        """Tell whether events were read that may not be given yet: there is no use in reading more."""
        return bool(self._read)

    @property
    def awaits_run(self) -> bool:
        """Tell whether a run goes on of which not all events were given."""
        return bool(self.run_id) and not self._is_run_whole

    @property
    def cursor(self) -> bytes:
        return cursor(self.thread_seq, self.run_id, self.run_seq)

    def take_read(self, items: Sequence[ThreadItem]) -> None:
        """Take what the log has next."""
        self._read.extend(items)

    def give(self) -> bytes:
        """Return the items that may be given now; they count as given."""
        pieces: list[bytes] = []
        while self._read and not (self.awaits_run and self._read[0].ended_run == self.run_id):
            item = self._read.pop(0)
            pieces.append(item.data)
            self._pass(item)
        return b"".join(pieces)

    def gave_run(self, last_seq: int, *, is_terminal: bool) -> None:
        """Count events of the run that goes on as given, up to `last_seq`."""
        self.run_seq, self._is_run_whole = last_seq, is_terminal

    def _pass(self, item: ThreadItem) -> None:
        self.thread_seq, self.is_over = item.seq, item.is_last
        if item.started_run:
            self.run_id, self.run_seq, self._is_run_whole = item.started_run, 0, False
        elif item.ended_run == self.run_id:
            self.run_id, self.run_seq = "", 0


# What is pushed where nothing but the fact counts.
RING = Batch(0, (), b"", False)
