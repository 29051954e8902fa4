"""The channel of `AsyncWeft`, on the same terms as the other: key, time, tries, typed errors."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import grpc

from weft_client.errors import ClientClosedError, WeftError, error_of
from weft_client.patience import Tries, is_repeatable
from weft_client.terms import CHANNEL_OPTIONS, Terms


def open_channel(terms: Terms, credentials: grpc.ChannelCredentials | None) -> grpc.aio.Channel:
    if credentials is None and not terms.is_tls:
        return grpc.aio.insecure_channel(terms.target, options=CHANNEL_OPTIONS)
    return grpc.aio.secure_channel(terms.target, credentials or grpc.ssl_channel_credentials(), options=CHANNEL_OPTIONS)


class AsyncTermsChannel(grpc.aio.Channel):
    """Generated stubs are made on it. The channel proper is opened by the first call, in its event loop."""

    def __init__(self, make_channel: Callable[[], grpc.aio.Channel], terms: Terms) -> None:
        self._make_channel, self._terms = make_channel, terms
        self._channel_or_none: grpc.aio.Channel | None = None
        self.is_closed = False

    @property
    def _channel(self) -> grpc.aio.Channel:
        if self.is_closed:
            raise ClientClosedError
        if self._channel_or_none is None:
            self._channel_or_none = self._make_channel()
        return self._channel_or_none

    async def pause(self, seconds: float) -> None:
        """Wait before a next try. Raises: ClientClosedError: the client was closed meanwhile."""
        await asyncio.sleep(seconds)
        if self.is_closed:
            raise ClientClosedError

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        async def call(request: Any, *, timeout: float | None = None, metadata: Any = None, **rest: Any) -> Any:
            inner = self._channel.unary_unary(method, *args, **kwargs)
            until = time.monotonic() + (self._terms.timeout if timeout is None else timeout)
            tries = Tries(self._terms.outage(), is_repeatable=is_repeatable(method, request), until=until)
            while True:
                remaining = tries.remaining(time.monotonic())
                try:
                    answer = await self._call(inner, request, timeout=remaining, metadata=metadata, **rest)
                except WeftError as error:
                    await self.pause(tries.failed(error, time.monotonic()))
                else:
                    self._terms.contact.is_made = True
                    return answer

        return call

    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        def call(request: Any, *, timeout: float | None = None, metadata: Any = None, **rest: Any) -> Any:
            inner: Any = self._channel.unary_stream(method, *args, **kwargs)
            return AsyncResponses(
                inner(request, timeout=timeout, metadata=self._terms.metadata(metadata), **rest), self
            )

        return call

    def stream_unary(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("no method of Weft takes a stream")

    def stream_stream(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("no method of Weft takes a stream")

    async def _call(self, inner: Callable[..., Any], request: Any, *, metadata: Any, **rest: Any) -> Any:
        try:
            return await inner(request, metadata=self._terms.metadata(metadata), **rest)
        except grpc.aio.AioRpcError as fault:
            raise self.told(fault) from fault
        except asyncio.CancelledError:
            self.raise_if_closed()
            raise
        except grpc.aio.UsageError:
            self.raise_if_closed()
            raise

    def told(self, fault: grpc.aio.AioRpcError) -> WeftError:
        return ClientClosedError() if self.is_closed else error_of(fault)

    def raise_if_closed(self) -> None:
        """Raise ClientClosedError where closing the channel cancelled a call, and nobody the task that awaits it."""
        task = asyncio.current_task()
        if self.is_closed and (task is None or not task.cancelling()):
            raise ClientClosedError from None

    async def close(self, grace: float | None = None) -> None:
        self.is_closed = True
        if self._channel_or_none is not None:
            await self._channel_or_none.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self._channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._channel.channel_ready()

    async def __aenter__(self) -> "AsyncTermsChannel":
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()


class AsyncResponses:
    """The call of a stream: iterates over its responses, and raises typed errors. The rest is grpc's call object."""

    def __init__(self, call: Any, channel: AsyncTermsChannel) -> None:
        self._call, self._channel = call, channel

    def __aiter__(self) -> "AsyncResponses":
        return self

    async def __anext__(self) -> Any:
        response = await self.read()
        if response is grpc.aio.EOF:
            raise StopAsyncIteration
        return response

    async def read(self) -> Any:
        """Return the next response, `grpc.aio.EOF` after the last."""
        try:
            return await self._call.read()
        except grpc.aio.AioRpcError as fault:
            raise self._channel.told(fault) from fault
        except asyncio.CancelledError:
            self._channel.raise_if_closed()
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)
