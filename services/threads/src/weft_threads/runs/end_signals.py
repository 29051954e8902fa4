"""The end of runs, heard on the live wire, for those who wait for it here."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from google.protobuf.message import DecodeError
from weft.runs.v1 import run_log_service_pb2 as pb


class Wire(Protocol):
    """Listens to runs; a lost acknowledgement is no fault."""

    async def subscribe(self, run_id: str) -> bool: ...

    def unsubscribe(self, run_id: str) -> None: ...


class LiveEndSignals:
    """One subscription for each run that is waited for, however many wait. Hand `on_frame` to the wire."""

    def __init__(self, connect: Callable[[Callable[[str, bytes], None]], Wire]) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._wire = connect(self.on_frame)

    @asynccontextmanager
    async def watch(self, run_id: str) -> AsyncIterator[asyncio.Event]:
        """Yield an event that is set when the run ends. It may be missed: poll as well."""
        event = asyncio.Event()
        waiting = self._waiting.setdefault(run_id, set())
        waiting.add(event)
        try:
            if len(waiting) == 1:
                await self._wire.subscribe(run_id)
            yield event
        finally:
            waiting.discard(event)
            if not waiting and self._waiting.get(run_id) is waiting:
                del self._waiting[run_id]
                self._wire.unsubscribe(run_id)

    def on_frame(self, run_id: str, frame: bytes) -> None:
        waiting = self._waiting.get(run_id, ())
        if waiting and _is_terminal(frame):
            for event in waiting:
                event.set()


def _is_terminal(frame: bytes) -> bool:
    try:
        return pb.LiveBatch.FromString(frame).is_terminal
    except DecodeError:
        return False
