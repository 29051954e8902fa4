"""Claims that wait here for a run: the shortest way from the commit of a run to a runner."""

import asyncio
from collections import deque

from weft_threads.runs.announce import Bell


class HeldClaims:
    """A bell. A ring wakes those who wait here, one each; what is left rings `bell`, for runners elsewhere."""

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._waiting: deque[asyncio.Future[bool]] = deque()
        self._is_closed = False

    def ring(self, count: int = 1) -> None:
        while count > 0 and self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(True)
                count -= 1
        if count > 0:
            self._bell.ring(count)

    async def wait(self, seconds: float) -> bool:
        """Tell whether it rang in time. A ring that woke a caller who was cancelled meanwhile is passed on."""
        if self._is_closed:
            return False
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[bool] = loop.create_future()
        timer = loop.call_later(seconds, _give_up, waiter)
        self._waiting.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.result():
                self.ring()
            raise
        finally:
            timer.cancel()
            if waiter in self._waiting:
                self._waiting.remove(waiter)

    async def close(self) -> None:
        """Let nobody wait any more: the process stops."""
        self._is_closed = True
        for waiter in self._waiting:
            _give_up(waiter)


def _give_up(waiter: asyncio.Future[bool]) -> None:
    if not waiter.done():
        waiter.set_result(False)
