"""A channel that makes every call on the client's terms: key, time, tries, typed errors."""

import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

import grpc

from weft_client.errors import ClientClosedError, WeftError, error_of
from weft_client.patience import Tries, is_repeatable
from weft_client.terms import CHANNEL_OPTIONS, Terms


def open_channel(terms: Terms, credentials: grpc.ChannelCredentials | None) -> grpc.Channel:
    if credentials is None and not terms.is_tls:
        return grpc.insecure_channel(terms.target, options=CHANNEL_OPTIONS)
    return grpc.secure_channel(terms.target, credentials or grpc.ssl_channel_credentials(), options=CHANNEL_OPTIONS)


class TermsChannel(grpc.Channel):
    """Generated stubs are made on it. Calls with one answer are repeated where that is safe; streams are not."""

    def __init__(self, channel: grpc.Channel, terms: Terms) -> None:
        self._channel, self._terms = channel, terms
        self._closed = threading.Event()

    @property
    def is_closed(self) -> bool:
        return self._closed.is_set()

    def pause(self, seconds: float) -> None:
        """Wait before a next try. Raises: ClientClosedError: the client was closed meanwhile."""
        if self._closed.wait(seconds):
            raise ClientClosedError

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        inner: Callable[..., Any] = self._channel.unary_unary(method, *args, **kwargs)

        def call(request: Any, timeout: float | None = None, metadata: Any = None, **rest: Any) -> Any:
            until = time.monotonic() + (self._terms.timeout if timeout is None else timeout)
            tries = Tries(self._terms.outage(), is_repeatable=is_repeatable(method, request), until=until)
            while True:
                remaining = tries.remaining(time.monotonic())
                try:
                    answer = self._call(inner, request, timeout=remaining, metadata=metadata, **rest)
                except WeftError as error:
                    self.pause(tries.failed(error, time.monotonic()))
                else:
                    self._terms.contact.is_made = True
                    return answer

        return call

    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        inner = self._channel.unary_stream(method, *args, **kwargs)

        def call(request: Any, timeout: float | None = None, metadata: Any = None, **rest: Any) -> Any:
            return Responses(self._call(inner, request, timeout=timeout, metadata=metadata, **rest), self)

        return call

    def stream_unary(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("no method of Weft takes a stream")

    def stream_stream(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("no method of Weft takes a stream")

    def _call(self, inner: Callable[..., Any], request: Any, *, metadata: Any, **rest: Any) -> Any:
        if self.is_closed:
            raise ClientClosedError
        try:
            return inner(request, metadata=self._terms.metadata(metadata), **rest)
        except grpc.RpcError as fault:
            raise self.told(fault) from fault
        except ValueError:
            # What grpc says when another thread closed the channel a moment ago.
            if self.is_closed:
                raise ClientClosedError from None
            raise

    def told(self, fault: grpc.RpcError) -> WeftError:
        return ClientClosedError() if self.is_closed else error_of(fault)

    def subscribe(self, *args: Any, **kwargs: Any) -> None:
        self._channel.subscribe(*args, **kwargs)

    def unsubscribe(self, *args: Any, **kwargs: Any) -> None:
        self._channel.unsubscribe(*args, **kwargs)

    def close(self) -> None:
        self._closed.set()
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()


class Responses:
    """The call of a stream: iterates over its responses, and raises typed errors. The rest is grpc's call object."""

    def __init__(self, call: Any, channel: TermsChannel) -> None:
        self._call, self._channel = call, channel

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            return next(self._call)
        except grpc.RpcError as fault:
            raise self._channel.told(fault) from fault

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)
