"""All watches of a process: one connection to Redis feeds them, and one call a second finds what it lost."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol

from google.protobuf.message import DecodeError

from weft_gateway.live.frames import Batch, batch_of

logger = logging.getLogger(__name__)

HEADS_SECONDS: Final = 1.0
# Without Redis the heads are all that tells of news.
HEADS_SECONDS_WITHOUT_WIRE: Final = 0.4

# Ids of tenant, and of run or thread.
WatchKey = tuple[str, str]


class Watcher(Protocol):
    """One stream's place in the log of a run or a thread."""

    @property
    def tenant_id(self) -> str: ...

    @property
    def watched_id(self) -> str: ...

    @property
    def is_entitled(self) -> bool: ...

    def push(self, batch: Batch) -> None:
        """Take what came live; of a thread that is nothing but word that its log has grown."""

    def note_head(self, seq: int) -> None:
        """Take word that the log goes up to `seq`."""


class Wire(Protocol):
    """What happens in runs and threads, see weft_wire.live.LiveEvents."""

    @property
    def is_connected(self) -> bool: ...

    async def subscribe(self, watched_id: str) -> bool: ...

    def unsubscribe(self, watched_id: str) -> None: ...

    async def run(self) -> None: ...


class Heads(Protocol):
    """How far the logs of runs and threads are."""

    async def get_heads(self, watched: Sequence[WatchKey]) -> list[tuple[str, int]]: ...


class _Watched:
    """A run or a thread that somebody watches."""

    def __init__(self, now: float) -> None:
        self.watches: set[Watcher] = set()
        self.last_heard = now


class Hub:
    def __init__(
        self, make_wire: Callable[[Callable[[str, bytes], None], Callable[[], None]], Wire], heads: Heads
    ) -> None:
        """`make_wire` makes the wire from what is to be called with each frame and after a lost connection."""
        self._wire = make_wire(self._on_frame, self._on_reconnect)
        self._heads = heads
        self._watched: dict[str, _Watched] = {}
        self._suspect = asyncio.Event()
        self._are_all_suspect = False

    @property
    def watched(self) -> int:
        """How many runs and threads are watched."""
        return len(self._watched)

    @property
    def watches(self) -> int:
        """How many streams watch them. May be asked from another thread."""
        return sum(len(each.watches) for each in list(self._watched.values()))

    def tasks(self) -> dict[str, Coroutine[Any, Any, None]]:
        """Return what must run beside the server."""
        return {"live wire": self._wire.run(), "heads": self._compare_heads()}

    @contextmanager
    def watching(self, watch: Watcher) -> Iterator[None]:
        """Feed `watch` with what comes live, once `subscribe` was awaited."""
        watched = self._watched.get(watch.watched_id)
        if watched is None:
            watched = self._watched[watch.watched_id] = _Watched(self._now())
        watched.watches.add(watch)
        try:
            yield
        finally:
            watched.watches.discard(watch)
            if not watched.watches:
                del self._watched[watch.watched_id]
                self._wire.unsubscribe(watch.watched_id)

    async def subscribe(self, watch: Watcher) -> None:
        """Return when what is published from now on is heard, or Redis is too slow: then the heads will tell."""
        await self._wire.subscribe(watch.watched_id)

    def _on_frame(self, watched_id: str, frame: bytes) -> None:
        watched = self._watched.get(watched_id)
        if watched is None:
            return
        try:
            batch = batch_of(frame)
        except DecodeError:
            logger.warning("a frame on the live wire is no LiveBatch")
            return
        watched.last_heard = self._now()
        for watch in watched.watches:
            watch.push(batch)

    def _on_reconnect(self) -> None:
        self._are_all_suspect = True
        self._suspect.set()

    async def _compare_heads(self) -> None:
        while True:
            try:
                async with asyncio.timeout(HEADS_SECONDS if self._wire.is_connected else HEADS_SECONDS_WITHOUT_WIRE):
                    await self._suspect.wait()
            except TimeoutError:
                pass
            self._suspect.clear()
            try:
                await self._compare_once()
            except Exception as error:  # whatever it was, the next second asks again
                logger.warning("heads of what is watched are not known: %s", error)
                await asyncio.sleep(HEADS_SECONDS_WITHOUT_WIRE)

    async def _compare_once(self) -> None:
        silent = self._silent()
        if not silent:
            return
        for watched_id, seq in await self._heads.get_heads(silent):
            watched = self._watched.get(watched_id)
            for watch in watched.watches if watched is not None else ():
                watch.note_head(seq)
        self._are_all_suspect = False

    def _silent(self) -> list[WatchKey]:
        """Return what was not heard of for a while; everything when much may have been missed."""
        since = self._now() - (HEADS_SECONDS if self._wire.is_connected else 0)
        return list(
            {
                (watch.tenant_id, watched_id)
                for watched_id, watched in self._watched.items()
                if self._are_all_suspect or watched.last_heard <= since
                for watch in watched.watches
                if watch.is_entitled
            }
        )

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
