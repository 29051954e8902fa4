"""Waiting for whatever there is to be told."""

import asyncio


class News:
    """What one stream waits for. Small: there are thousands."""

    __slots__ = ("_has_news", "_waiter")

    def __init__(self) -> None:
        self._has_news = False
        self._waiter: asyncio.Future[None] | None = None

    async def news(self, timeout_seconds: float) -> bool:
        """Wait until `tell` is called; tell whether it was in time. Being told before counts, once."""
        if not self._has_news:
            loop = asyncio.get_running_loop()
            self._waiter = waiter = loop.create_future()
            # One timer and one wake-up: with hundreds of watchers `asyncio.wait` costs an eighth or more of the time.
            timer = loop.call_later(max(timeout_seconds, 0), _wake, waiter)
            try:
                await waiter
            finally:
                self._waiter = None
                timer.cancel()
        had_news, self._has_news = self._has_news, False
        return had_news

    def tell(self) -> None:
        self._has_news = True
        if self._waiter is not None:
            _wake(self._waiter)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
