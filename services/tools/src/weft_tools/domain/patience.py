"""Repeating what failed only because a peer was away."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from weft_core.errors import UnavailableError

FIRST_PAUSE_SECONDS: Final = 0.05
LONGEST_PAUSE_SECONDS: Final = 1.0

Answer = TypeVar("Answer")


async def patiently(ask: Callable[[], Awaitable[Answer]], patience_seconds: float) -> Answer:
    """Await `ask()`, again and again while the peer is unavailable, for `patience_seconds` at most.

    Raises: what `ask` raises; UnavailableError once the patience has ended.
    """
    loop = asyncio.get_running_loop()
    give_up_at, pause = loop.time() + patience_seconds, FIRST_PAUSE_SECONDS
    while True:
        try:
            return await ask()
        except UnavailableError:
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS) * random.uniform(0.75, 1.0)
            if loop.time() + pause >= give_up_at:
                raise
            await asyncio.sleep(pause)
