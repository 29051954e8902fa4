"""The one write lane of a runner: one Commit under way at a time, in which entries of different runs go together.

There is no timer while anything but deltas waits: what comes while a Commit is under way goes with the next one. Deltas
wait for the next stroke of a slow clock, all runs for the same one, so that many runs share a Commit.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Protocol

from weft_agent_runner.domain.entry import Act, Entry, EntryError, EntryResult, RunLostError, Verdict, judge
from weft_agent_runner.domain.events import Event
from weft_agent_runner.domain.outbox import DEFAULT_LIMITS, Outbox, OutboxLimits, Urgency
from weft_agent_runner.domain.ports import PeerFaultError, PeerSlowError, PeerUnavailableError
from weft_agent_runner.domain.run import ClaimedRun

_LOG = logging.getLogger(__name__)

MAX_ENTRIES = 256
MAX_BATCH_SIZE = 4 * 1024 * 1024  # bytes
MAX_REPEATS = 6  # of what is answered, and not written for no reason that is told
PATIENCE_SECONDS = 5.0  # with faults: longer than a lease is trusted, so that a heartbeat came through meanwhile
_FIRST_PAUSE_SECONDS, _MAX_PAUSE_SECONDS = 0.05, 1.0


Committer = Callable[[Sequence[Entry]], Awaitable[Sequence[EntryResult]]]


class Listener(Protocol):
    """Who is told, at once and in order, what became of a run's entries."""

    def on_written(self, entry: Entry, result: EntryResult) -> None: ...

    def on_stop_requested(self) -> None: ...

    def on_refused(self, error: EntryError) -> None:
        """Plain events can never be written."""

    def on_lost(self) -> None: ...


class Line:
    """A run's end of the lane."""

    def __init__(self, lane: "WriteLane", outbox: Outbox, listener: Listener) -> None:
        self.outbox = outbox
        self._lane, self._listener = lane, listener
        self._written: asyncio.Future[EntryResult] | None = None
        self._room = asyncio.Event()
        self.is_lost = False

    def emit(self, *events: Event) -> None:
        if self.is_lost:
            return
        for event in events:
            self.outbox.put(event)
        self._lane.schedule(self)

    async def room(self) -> None:
        """Wait while too much is buffered: this is the back-pressure on the model's stream."""
        while self.outbox.is_full and not self.is_lost:
            self._room.clear()
            await self._room.wait()

    async def commit(self, act: Act) -> EntryResult:
        """Write what was emitted before, and `act`. A cancelled caller leaves it under way: see `settled`.

        Raises: RunLostError. EntryError: it can never be written.
        """
        if self.is_lost:
            raise RunLostError
        self.outbox.put_act(act)
        self._written = asyncio.get_running_loop().create_future()
        self._lane.schedule(self)
        return await asyncio.shield(self._written)

    async def settled(self) -> None:
        """Wait for an act that a cancelled caller left under way. Raises as `commit`."""
        if self._written is not None and not self._written.cancelled():
            await asyncio.shield(self._written)

    def lose(self) -> None:
        """Write nothing more. What is under way may or may not be written."""
        if not self.is_lost:
            self.close()
            self._listener.on_lost()

    def close(self) -> None:
        """The same, without telling the listener."""
        self.is_lost = True
        self._room.set()
        self._fail(RunLostError())

    def take_in(self, result: EntryResult) -> Verdict:
        entry, verdict = self.outbox.settle(result)
        if self.is_lost or verdict is Verdict.REPEAT:
            return verdict
        if verdict is Verdict.LOST:
            self.lose()
        elif verdict is Verdict.REFUSED:
            self._refuse(entry, EntryError(result.data_error))
        else:
            self._room.set()
            self._listener.on_written(entry, result)
            if entry.act is not None and self._written is not None and not self._written.done():
                self._written.set_result(result)
            if result.is_stop_requested and result.is_running:
                self._listener.on_stop_requested()
        return verdict

    def _refuse(self, entry: Entry, error: EntryError) -> None:
        self._room.set()
        if entry.act is None:
            self._listener.on_refused(error)
        else:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        if self._written is not None and not self._written.done():
            self._written.set_exception(error)
            self._written.exception()  # seen: a cancelled caller does not fetch it


Batch = list[tuple[Line, Entry]]


class _Suspicion:
    """Whether a batch itself is why it cannot be written: the queue fails at it, or takes too long, and answers others
    all the while."""

    def __init__(self, is_queue_well: Callable[[], bool], patience_seconds: float, entries: int) -> None:
        self._is_queue_well, self._patience_seconds, self._entries = is_queue_well, patience_seconds, entries
        self._since: float | None = None
        self._slow_tries = 0

    def confirmed_by(self, error: PeerUnavailableError) -> bool:
        if not isinstance(error, PeerFaultError | PeerSlowError) or not self._is_queue_well():
            self._since, self._slow_tries = None, 0
            return False
        if isinstance(error, PeerSlowError):  # each such try holds up all runs, so the slow entry is soon looked for
            self._slow_tries += 1
            return self._entries > 1 or self._slow_tries > 1
        now = asyncio.get_running_loop().time()
        if self._since is None:
            self._since = now
            return False
        return now - self._since >= self._patience_seconds


class WriteLane:
    def __init__(
        self,
        commit: Committer,
        *,
        delta_window_seconds: float = 0.025,
        limits: OutboxLimits = DEFAULT_LIMITS,
        patience_seconds: float = PATIENCE_SECONDS,
        is_queue_well: Callable[[], bool] = lambda: True,
    ) -> None:
        """`is_queue_well` tells whether the queue answers other calls: then a slow Commit is slow by what is in it."""
        self._commit, self._window = commit, delta_window_seconds
        self._limits, self._patience_seconds, self._is_queue_well = limits, patience_seconds, is_queue_well
        self._due: dict[Line, None] = {}
        self._soon: dict[Line, None] = {}
        self._stroke: asyncio.TimerHandle | None = None
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def open(self, run: ClaimedRun, listener: Listener) -> Line:
        return Line(self, Outbox(run.key, run.last_seq, self._limits), listener)

    def schedule(self, line: Line) -> None:
        urgency = line.outbox.urgency
        if urgency is Urgency.NOW:
            self._due[line] = None
            self._idle.clear()
            self._wake.set()
        elif urgency is Urgency.SOON and line not in self._due:
            self._soon[line] = None
            if self._stroke is None:
                loop = asyncio.get_running_loop()
                next_stroke = (loop.time() // self._window + 1) * self._window
                self._stroke = loop.call_at(next_stroke, self._strike)

    def _strike(self) -> None:
        self._stroke = None
        self._due.update(self._soon)
        self._soon.clear()
        if self._due:
            self._idle.clear()
            self._wake.set()

    @property
    def waiting_bytes(self) -> int:
        """How much waits to be taken, about. May be asked from another thread."""
        return sum(line.outbox.waiting_size for line in {*list(self._due), *list(self._soon)})

    async def idle(self) -> None:
        """Wait until nothing is under way or due. Deltas that wait for their stroke may be left."""
        await self._idle.wait()

    async def run(self) -> None:
        """Write what comes, until cancelled."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while batch := self._take():
                    await self._write(batch, self._patience_seconds)
                self._idle.set()
        finally:
            if self._stroke is not None:
                self._stroke.cancel()

    def _take(self) -> Batch:
        batch: Batch = []
        size = 0
        while self._due and len(batch) < MAX_ENTRIES and size < MAX_BATCH_SIZE:
            line = next(iter(self._due))
            del self._due[line]
            self._soon.pop(line, None)
            entry = None if line.is_lost else line.outbox.take()
            if entry is not None:
                batch.append((line, entry))
                size += entry.size
        return batch

    async def _write(self, batch: Batch, patience_seconds: float) -> None:
        """Write a batch, however long that takes: it is repeated as it is until an answer comes, or until nobody holds
        any run of it any more. Only what the queue fails at, while it is well otherwise, is taken apart."""
        tries = repeats = 0
        suspicion = _Suspicion(self._is_queue_well, patience_seconds, len(batch))
        while any(not line.is_lost for line, _ in batch):
            try:
                results = await self._commit([entry for _, entry in batch])
            except PeerUnavailableError as error:
                if suspicion.confirmed_by(error):
                    await self._take_apart(batch, error)
                    return
                _LOG.warning("commit of %d entries, try %d: %r", len(batch), tries + 1, error)
            except Exception as error:  # refused, or not even to be put into a request: it will be so again
                await self._take_apart(batch, error)
                return
            else:
                repeats += 1
                batch = self._settle(batch, results, may_repeat=repeats < MAX_REPEATS)
            if batch:
                await asyncio.sleep(_pause(tries))
                tries += 1

    def _settle(self, batch: Batch, results: Sequence[EntryResult], *, may_repeat: bool) -> Batch:
        """Tell each run what became of its entry; return what must be repeated."""
        left = []
        for (line, entry), result in zip(batch, results, strict=True):
            if judge(entry, result) is Verdict.REPEAT and not may_repeat:
                result = replace(result, data_error="not written, and the queue does not say why")
            if line.take_in(result) is Verdict.REPEAT and not line.is_lost:
                left.append((line, entry))
            elif not line.is_lost:
                self.schedule(line)
        return left

    async def _take_apart(self, batch: Batch, error: Exception) -> None:
        """Find the entry because of which a batch cannot be written: it alone fails. The others are written one by one
        where a further try costs long, else by halves."""
        if len(batch) == 1:
            line, entry = batch[0]
            _LOG.error("run %s: an entry of %d bytes fails: %r", entry.key.run_id, entry.size, error)
            refusal = EntryResult(entry.key.epoch, entry.expected_seq, data_error=str(error) or "refused")
            self._settle([(line, entry)], [refusal], may_repeat=False)
            return
        size = 1 if isinstance(error, PeerSlowError) else (len(batch) + 1) // 2
        for start in range(0, len(batch), size):
            await self._write(batch[start : start + size], patience_seconds=0.0)


def _pause(tries: int) -> float:
    ceiling = min(_MAX_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** min(tries, 10))
    return ceiling * (0.5 + random.random() / 2)
