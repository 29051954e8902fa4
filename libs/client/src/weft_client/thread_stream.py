"""The life of a thread, for synchronous code."""

from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from weft.gateway.v1.agent_gateway_service_pb2 import ThreadCursor

from weft_client.channel import TermsChannel
from weft_client.follow import follow
from weft_client.services import Services
from weft_client.thread_watch import ThreadItem, ThreadWatch


class ThreadStream:
    """Iterate over it: each item once, in order, over lost connections, until the thread is deleted.

    Leaving `with`, `close` and a `break` that drops the last reference free the call. One thread at a time.
    """

    def __init__(self, services: Services, channel: TermsChannel, watch: ThreadWatch, silence_seconds: float) -> None:
        def open_call(seconds: float | None) -> Any:
            return services.gateway.ThreadEvents(watch.request(), timeout=seconds)

        self._watch = watch
        self._items = follow(watch, open_call, channel, silence_seconds)

    @property
    def cursor(self) -> ThreadCursor | None:
        """The place behind the last item; None while only the server knows where now is."""
        return self._watch.cursor

    def close(self) -> None:
        """Free the call."""
        self._items.close()

    def __iter__(self) -> Iterator[ThreadItem]:
        return self

    def __next__(self) -> ThreadItem:
        return next(self._items)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()
