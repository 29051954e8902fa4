"""The time of one process. What must agree between processes takes the database's time instead."""

import time
from typing import Protocol


class Clock(Protocol):
    def now(self) -> float:
        """Return seconds since 1970 (UTC)."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back, for measuring how long something takes."""
        ...


class SystemClock:
    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


class FakeClock:
    """A clock that stands still until a test advances it."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._now, self._monotonic = now, 1_000.0

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        self._now += seconds
        self._monotonic += seconds
