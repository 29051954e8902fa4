"""How many calls a server takes at once, which tasks serve them, and how long each call has."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, cast

from weft_core.errors import ResourceExhaustedError

from weft_grpckit import deadlines
from weft_grpckit.context import Context
from weft_grpckit.contract import MethodContract
from weft_grpckit.interceptors.wrapping import StreamCall, UnaryCall, WrappingInterceptor


class AdmissionInterceptor(WrappingInterceptor):
    """Refuses calls above the limit, and knows the tasks of those it took: `stop` returns before they are done."""

    def __init__(self, max_calls: int) -> None:
        super().__init__()
        self._max_calls = max_calls
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def active_calls(self) -> int:
        return len(self._tasks)

    async def idle(self, timeout_seconds: float) -> bool:
        """Wait until no call is being served; tell whether that came in time."""
        if not self._tasks:
            return True
        _, pending = await asyncio.wait(self._tasks, timeout=timeout_seconds)
        return not pending

    def unary(self, contract: MethodContract, call: UnaryCall) -> UnaryCall:
        async def admitted(request: Any, context: Context) -> Any:
            task = self._admit(context)
            try:
                return await call(request, context)
            finally:
                self._tasks.discard(task)

        return admitted

    def stream(self, contract: MethodContract, call: StreamCall) -> StreamCall:
        async def admitted(request: Any, context: Context) -> AsyncIterator[Any]:
            task = self._admit(context)
            try:
                async with aclosing(cast(Any, call(request, context))) as responses:
                    async for response in responses:
                        yield response
            finally:
                self._tasks.discard(task)

        return admitted

    def _admit(self, context: Context) -> asyncio.Task[Any]:
        if len(self._tasks) >= self._max_calls:
            raise ResourceExhaustedError(
                "OVERLOADED", "the server has more calls than it takes; try again later", retry_after_seconds=1.0
            )
        deadlines.set_remaining(context.time_remaining())
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        return task
