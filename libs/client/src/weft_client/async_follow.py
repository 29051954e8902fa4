"""Streams one after another until what is watched has ended, for asyncio."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import grpc

from weft_client.async_channel import AsyncTermsChannel
from weft_client.errors import UnavailableError, WeftError
from weft_client.resume import LAST_SECONDS, Item, Resumable


async def follow(
    watch: Resumable[Item], open_call: Callable[[float | None], Any], channel: AsyncTermsChannel, silence_seconds: float
) -> AsyncGenerator[Item, None]:
    """Yield what is watched. `open_call` opens a stream at the watch's place, for so many seconds at most."""
    while not watch.is_ended:
        call = open_call(watch.seconds_left(time.monotonic()))
        try:
            async with aclosing(_admitted(call, watch, silence_seconds)) as items:
                async for item in items:
                    yield item
            delay = watch.ended(time.monotonic())
        except WeftError as error:
            delay = watch.broken(error, time.monotonic())
        finally:
            call.cancel()  # nobody else does: an abandoned stream would go on at the server
        if not watch.is_ended:
            await channel.pause(delay)


async def _admitted(call: Any, watch: Resumable[Item], silence_seconds: float) -> AsyncGenerator[Item, None]:
    while (response := await read(call, LAST_SECONDS if watch.is_ended else silence_seconds)) is not grpc.aio.EOF:
        for item in watch.admit(response):
            yield item


async def read(call: Any, silence_seconds: float) -> Any:
    """Return the next response, `grpc.aio.EOF` after the last. Raises: UnavailableError: none came for so long."""
    try:
        async with asyncio.timeout(silence_seconds):
            return await call.read()
    except TimeoutError:
        raise UnavailableError("", f"nothing came for {silence_seconds:g} s") from None
