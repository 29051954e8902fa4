"""What tests of bad input ask: how a call was refused, and what reached the model."""

from collections.abc import Awaitable
from typing import Any

import aiohttp
import grpc
from every_rpc.answers import Answer, answer_of
from weft_cli.stack import Stack


async def refused(call: Awaitable[Any], code: str, reason: str) -> Answer:
    """Expect a call to fail, and return what it was told."""
    try:
        answered = await call
    except grpc.aio.AioRpcError as error:
        told = answer_of(error)
        assert told.verdict == (code, reason), str(told)
        assert told.message, "a refusal without words"
        return told
    raise AssertionError(f"not refused: {answered}")


async def model_calls(stack: Stack, **query: str | int) -> list[dict[str, Any]]:
    """Return the scripted model's record, filtered: model, marker, started, ended."""
    url = stack.model_url.removesuffix("/v1") + "/scripted/calls"
    params = {name: str(value) for name, value in query.items()}
    async with aiohttp.ClientSession() as session, session.get(url, params=params) as response:
        response.raise_for_status()
        return list((await response.json())["calls"])
