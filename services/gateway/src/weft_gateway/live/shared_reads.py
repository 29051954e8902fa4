"""Reads of logs: what many watchers want at once is read once, and again while threads cannot be reached."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from contextvars import Context as EmptyContext
from typing import Any, Final, Generic, TypeVar

import grpc
from weft_core.errors import UnavailableError, WeftError
from weft_grpckit.error_table import peer_error

CALL_SECONDS: Final = 10.0
_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 1.0

Key = TypeVar("Key", bound=Hashable)
Read = TypeVar("Read")


class SharedReads(Generic[Key, Read]):
    """Reads by key. One that has begun is not shared by those who come later: it may show less than there is now."""

    def __init__(self) -> None:
        self._next: dict[Key, asyncio.Task[Read]] = {}
        self._under_way: dict[Key, asyncio.Task[Read]] = {}

    @property
    def is_idle(self) -> bool:
        return not self._next and not self._under_way

    async def get(self, key: Key, read: Callable[[], Coroutine[Any, Any, Read]]) -> Read:
        """Return what `read` returns, or what it returns to another who asks for the same at the same time."""
        reading = self._next.get(key)
        if reading is None:
            # Its own context: the deadline of the first watcher must not fail the others.
            reading = asyncio.create_task(self._in_turn(key, read), context=EmptyContext())
            reading.add_done_callback(lambda task: task.cancelled() or task.exception())  # looked at, whoever waits
            self._next[key] = reading
        return await asyncio.shield(reading)

    async def _in_turn(self, key: Key, read: Callable[[], Coroutine[Any, Any, Read]]) -> Read:
        while (under_way := self._under_way.get(key)) is not None:
            await asyncio.wait((under_way,))
        self._under_way[key] = self._next.pop(key)
        try:
            return await read()
        finally:
            del self._under_way[key]


async def patiently(seconds: float, once: Callable[[], Awaitable[Read]]) -> Read:
    """Return what `once` returns; it is called again for some seconds while threads cannot be reached."""
    loop = asyncio.get_running_loop()
    end, pause = loop.time() + seconds, _FIRST_PAUSE_SECONDS
    while True:
        try:
            return await once()
        except UnavailableError:
            if loop.time() + pause > end:
                raise
        await asyncio.sleep(pause * random.uniform(0.5, 1))
        pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)


async def answer(call: Any) -> Any:
    """Await a call. Raises: what its error means; a peer that is too slow is unavailable like one that is gone."""
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        told = peer_error(error)
        if told is None:
            raise
        raise _unavailable_if_late(told) from None


def _unavailable_if_late(error: WeftError) -> WeftError:
    if error.reason != "DEADLINE_EXCEEDED":
        return error
    return UnavailableError("SERVICE_UNAVAILABLE", "the log does not answer in time", retry_after_seconds=1.0)
