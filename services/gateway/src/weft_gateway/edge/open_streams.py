"""The streams that are open, so that they can be ended: by a revoked key, or when the gateway stops."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any, Final

from weft_core.errors import WeftError

from weft_gateway.edge.api_keys import ApiKeys, api_key_invalid

_CHECKS_AT_ONCE: Final = 20


class OpenStream:
    """One stream and the task that serves it."""

    __slots__ = ("_ending", "_is_sending", "_task", "digest", "path")

    def __init__(self, path: str, digest: bytes) -> None:
        self.path, self.digest = path, digest
        self._task = asyncio.current_task()
        self._is_sending = False
        self._ending: WeftError | None = None

    def end(self, error: WeftError) -> None:
        """End the stream with `error`: at once, or after the message that its client is slow to take."""
        if self._ending is None:
            self._ending = error
            if not self._is_sending and self._task is not None:
                self._task.cancel()

    async def guard(self, responses: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
        """Pass `responses` on until they end or `end` is called."""
        try:
            async with aclosing(responses):
                async for response in responses:
                    self._is_sending = True
                    yield response
                    self._is_sending = False
                    if self._ending is not None:
                        raise self._ending
        except asyncio.CancelledError:
            # Ours alone, or did the client leave as well?
            if self._ending is not None and self._task is not None and self._task.uncancel() == 0:
                raise self._ending from None
            raise


class OpenStreams:
    """All open streams."""

    def __init__(self) -> None:
        self._streams: set[OpenStream] = set()
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    def add(self, stream: OpenStream) -> None:
        self._streams.add(stream)
        self._is_empty.clear()

    def discard(self, stream: OpenStream) -> None:
        self._streams.discard(stream)
        if not self._streams:
            self._is_empty.set()

    async def none_left(self) -> None:
        await self._is_empty.wait()

    def end(self, error: WeftError, *paths: str) -> None:
        """End all streams, or those of some methods."""
        for stream in list(self._streams):
            if not paths or stream.path in paths:
                stream.end(error)

    async def end_revoked(self, keys: ApiKeys, every_seconds: float) -> None:
        """End streams whose key was revoked meanwhile; until cancelled."""
        while True:
            await asyncio.sleep(every_seconds)
            # One iterator for all who check: each takes the next, so that a slow answer holds up nothing but itself.
            digests = iter({stream.digest for stream in self._streams})
            await asyncio.gather(*(self._end_those_revoked(keys, digests) for _ in range(_CHECKS_AT_ONCE)))

    async def _end_those_revoked(self, keys: ApiKeys, digests: Iterator[bytes]) -> None:
        for digest in digests:
            if await keys.is_revoked(digest):
                self._end_of_key(digest)

    def _end_of_key(self, digest: bytes) -> None:
        for stream in list(self._streams):
            if stream.digest == digest:
                stream.end(api_key_invalid())
