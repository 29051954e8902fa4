"""Repeating what failed only because a peer was away."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from weft_core.errors import InternalError, ResourceExhaustedError, UnavailableError, WeftError

FIRST_PAUSE_SECONDS: Final = 0.05
LONGEST_PAUSE_SECONDS: Final = 1.0
MAX_FAULTS: Final = 10

Answer = TypeVar("Answer")


def is_away(error: WeftError) -> bool:
    return isinstance(error, UnavailableError)


def any_trouble() -> Callable[[WeftError], bool]:
    """Return what tells trouble that may pass, for what is lost when it is not taken.

    An overloaded peer counts as away. So does one that fails, `MAX_FAULTS` times: restarting, it is not always clear.
    """
    faults = 0

    def may_pass(error: WeftError) -> bool:
        nonlocal faults
        faults += isinstance(error, InternalError)
        return isinstance(error, UnavailableError | ResourceExhaustedError | InternalError) and faults < MAX_FAULTS

    return may_pass


async def patiently(
    ask: Callable[[], Awaitable[Answer]], patience_seconds: float, may_pass: Callable[[WeftError], bool] = is_away
) -> Answer:
    """Await `ask()`, again and again while its error `may_pass`, for `patience_seconds` at most.

    Raises: what `ask` raises.
    """
    loop = asyncio.get_running_loop()
    give_up_at, pause = loop.time() + patience_seconds, FIRST_PAUSE_SECONDS
    while True:
        try:
            return await ask()
        except WeftError as error:
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS) * random.uniform(0.75, 1.0)
            if not may_pass(error) or loop.time() + pause >= give_up_at:
                raise
            await asyncio.sleep(pause)
