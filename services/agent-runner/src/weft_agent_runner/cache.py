"""A cache that loads each value once, however many ask at the same time."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class SingleFlightCache(Generic[Key, Value]):
    """Keeps the `size` values that were used last, each for `max_age_seconds`. A failed load is not kept."""

    def __init__(self, size: int, max_age_seconds: float = float("inf")) -> None:
        self._size, self._max_age_seconds = size, max_age_seconds
        self._values: OrderedDict[Key, tuple[Value, float]] = OrderedDict()
        self._loading: dict[Key, asyncio.Task[Value]] = {}

    async def get(self, key: Key, load: Callable[[], Awaitable[Value]]) -> Value:
        """Return the value of `key`. A load goes on when who began it is cancelled: others may wait for it."""
        value, until = self._values.get(key, (None, 0.0))
        if value is not None and time.monotonic() < until:
            self._values.move_to_end(key)
            return value
        task = self._loading.get(key)
        if task is None:
            task = asyncio.create_task(self._load(key, load))
            self._loading[key] = task
            task.add_done_callback(lambda done: self._loaded(key, done))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Break off what is being loaded."""
        tasks = list(self._loading.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _load(self, key: Key, load: Callable[[], Awaitable[Value]]) -> Value:
        value = await load()
        self._values[key] = (value, time.monotonic() + self._max_age_seconds)
        self._values.move_to_end(key)
        while len(self._values) > self._size:
            self._values.popitem(last=False)
        return value

    def _loaded(self, key: Key, task: asyncio.Task[Value]) -> None:
        del self._loading[key]
        if not task.cancelled():
            task.exception()  # seen: whoever asked may be gone
