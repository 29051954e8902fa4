"""All watches of a process: one connection to Redis feeds them, and one call a second finds what it lost."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol

from google.protobuf.message import DecodeError

from weft_gateway.live.frames import batch_of
from weft_gateway.live.watch import Watch

logger = logging.getLogger(__name__)

HEADS_SECONDS: Final = 1.0
# Without Redis the heads are all that tells of news.
HEADS_SECONDS_WITHOUT_WIRE: Final = 0.4

# Ids of tenant and run.
RunKey = tuple[str, str]


class Wire(Protocol):
    """Live events, see weft_wire.live.LiveEvents."""

    @property
    def is_connected(self) -> bool: ...

    async def subscribe(self, run_id: str) -> bool: ...

    def unsubscribe(self, run_id: str) -> None: ...

    async def run(self) -> None: ...


class Heads(Protocol):
    """How far the logs of runs are."""

    async def get_heads(self, runs: Sequence[RunKey]) -> list[tuple[str, int]]: ...


class _Run:
    """A watched run."""

    def __init__(self, now: float) -> None:
        self.watches: set[Watch] = set()
        self.last_heard = now


class Hub:
    def __init__(
        self, make_wire: Callable[[Callable[[str, bytes], None], Callable[[], None]], Wire], heads: Heads
    ) -> None:
        """`make_wire` makes the wire from what is to be called with each frame and after a lost connection."""
        self._wire = make_wire(self._on_frame, self._on_reconnect)
        self._heads = heads
        self._runs: dict[str, _Run] = {}
        self._suspect = asyncio.Event()
        self._are_all_suspect = False

    @property
    def watched_runs(self) -> int:
        return len(self._runs)

    def tasks(self) -> dict[str, Coroutine[Any, Any, None]]:
        """Return what must run beside the server."""
        return {"live wire": self._wire.run(), "heads": self._compare_heads()}

    @contextmanager
    def watching(self, watch: Watch) -> Iterator[None]:
        """Feed `watch` with what comes live, once `subscribe` was awaited."""
        run = self._runs.get(watch.run_id)
        if run is None:
            run = self._runs[watch.run_id] = _Run(self._now())
        run.watches.add(watch)
        try:
            yield
        finally:
            run.watches.discard(watch)
            if not run.watches:
                del self._runs[watch.run_id]
                self._wire.unsubscribe(watch.run_id)

    async def subscribe(self, watch: Watch) -> None:
        """Return when what is published from now on is heard, or Redis is too slow: then the heads will tell."""
        await self._wire.subscribe(watch.run_id)

    def _on_frame(self, run_id: str, frame: bytes) -> None:
        run = self._runs.get(run_id)
        if run is None:
            return
        try:
            batch = batch_of(frame)
        except DecodeError:
            logger.warning("a frame on the live wire is no LiveBatch")
            return
        if batch.events:
            run.last_heard = self._now()
            for watch in run.watches:
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
                logger.warning("heads of watched runs are not known: %s", error)
                await asyncio.sleep(HEADS_SECONDS_WITHOUT_WIRE)

    async def _compare_once(self) -> None:
        silent = self._silent_runs()
        if not silent:
            return
        for run_id, seq in await self._heads.get_heads(silent):
            run = self._runs.get(run_id)
            for watch in run.watches if run is not None else ():
                watch.note_head(seq)
        self._are_all_suspect = False

    def _silent_runs(self) -> list[RunKey]:
        """Return the runs of which nothing was heard for a while; all of them when much may have been missed."""
        since = self._now() - (HEADS_SECONDS if self._wire.is_connected else 0)
        return list(
            {
                (watch.tenant_id, run_id)
                for run_id, run in self._runs.items()
                if self._are_all_suspect or run.last_heard <= since
                for watch in run.watches
                if watch.is_entitled
            }
        )

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
