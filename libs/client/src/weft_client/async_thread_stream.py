"""The life of a thread, for asyncio."""

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self

from weft.gateway.v1.agent_gateway_service_pb2 import ThreadCursor

from weft_client.async_channel import AsyncTermsChannel
from weft_client.async_follow import follow
from weft_client.services import AsyncServices
from weft_client.thread_watch import ThreadItem, ThreadWatch


class AsyncThreadStream:
    """Iterate over it: each item once, in order, over lost connections, until the thread is deleted.

    Leaving `async with`, `aclose`, a cancelled task and a `break` that drops the last reference free the call. One task
    at a time.
    """

    def __init__(
        self, services: AsyncServices, channel: AsyncTermsChannel, watch: ThreadWatch, silence_seconds: float
    ) -> None:
        def open_call(seconds: float | None) -> Any:
            return services.gateway.ThreadEvents(watch.request(), timeout=seconds)

        self._watch = watch
        self._items = follow(watch, open_call, channel, silence_seconds)

    @property
    def cursor(self) -> ThreadCursor | None:
        """The place behind the last item; None while only the server knows where now is."""
        return self._watch.cursor

    async def aclose(self) -> None:
        """Free the call."""
        await self._items.aclose()

    def __aiter__(self) -> AsyncIterator[ThreadItem]:
        return self

    async def __anext__(self) -> ThreadItem:
        return await anext(self._items)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self.aclose()
