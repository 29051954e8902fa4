"""The deadline of the call being served, so that calls made on its behalf never outlive it."""

import asyncio
from contextvars import ContextVar
from typing import Final

# Taken off at each hop, so that the peer gives up first and its answer still gets through.
HOP_MARGIN_SECONDS: Final = 0.02

_deadline: ContextVar[float | None] = ContextVar("weft_deadline", default=None)


def set_remaining(seconds: float | None) -> None:
    """Note how long the call has left. It ends with the call's task, so nothing is reset."""
    _deadline.set(None if seconds is None else asyncio.get_running_loop().time() + seconds)


def remaining() -> float | None:
    """Return the seconds that the call being served has left, None where it has no deadline."""
    deadline = _deadline.get()
    return None if deadline is None else deadline - asyncio.get_running_loop().time()


def without_deadline() -> None:
    """Forget the deadline: for work that a call starts and does not wait for."""
    _deadline.set(None)


def next_hop_timeout(own: float | None) -> float | None:
    """Return the timeout of a call made now: the smaller of `own` and what the served call leaves."""
    left = remaining()
    if left is None:
        return own
    left = max(left - HOP_MARGIN_SECONDS, 0.001)
    return left if own is None else min(own, left)
