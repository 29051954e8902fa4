"""Reading the streams of a gateway in tests."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest


async def read(call: Any, count: int, seconds: float = 5) -> list[int]:
    """Read until at least `count` events came; return their seqs."""
    seqs: list[int] = []
    async with asyncio.timeout(seconds):
        while len(seqs) < count:
            response = await call.read()
            assert response is not grpc.aio.EOF, f"ended after {seqs}"
            seqs += [event.seq for event in response.events]
    return seqs


async def read_all(call: Any, seconds: float = 5) -> list[int]:
    async with asyncio.timeout(seconds):
        return [event.seq async for event in events(call)]


async def events(call: Any) -> AsyncIterator[Any]:
    """Yield events to the end: `read` may be mixed with `read` only, not with `async for`."""
    while (response := await call.read()) is not grpc.aio.EOF:
        for event in response.events:
            yield event


async def failure(call: Any, seconds: float = 5) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await read_all(call, seconds)
    return caught.value


async def until(condition: Any, seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is looked at belongs to the gateway, which signals nothing
            await asyncio.sleep(0.005)
