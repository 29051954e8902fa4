"""Channels to other services: balanced over replicas, kept alive, with the served call's deadline and a token."""

import ipaddress
from collections.abc import Callable
from typing import Any

import grpc
from weft_telemetry.rpc import MadeCalls

from weft_grpckit import options
from weft_grpckit.context import current_token
from weft_grpckit.deadlines import next_hop_timeout
from weft_grpckit.observed_calls import observed
from weft_grpckit.tokens import METADATA_KEY, TokenSigner

TokenSource = Callable[[], str]
DEFAULT_TIMEOUT_SECONDS = 30.0


def open_channel(
    addresses: str,
    *,
    token: TokenSource = current_token,
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
) -> "ServiceChannel":
    """Return a channel to the replicas in `addresses`, a comma list of host:port. Close it after use.

    `token` gives the internal token of each call that brings none of its own; by default the token of the call being
    served, so that a call is made on its caller's behalf. `timeout_seconds` bounds each call with one response.
    """
    return ServiceChannel(
        grpc.aio.insecure_channel(target_of(addresses), options=options.CHANNEL), token, timeout_seconds
    )


def service_token(signer: TokenSigner, service: str) -> TokenSource:
    """Return the source of a service's own token, for `open_channel`."""
    return lambda: signer.service_token(service)


def target_of(addresses: str) -> str:
    """Return grpc's name of a comma list of host:port.

    Raises: ValueError for several host names: their replicas belong behind one name in DNS.
    """
    each = [address.strip() for address in addresses.split(",") if address.strip()]
    if not each:
        raise ValueError("no address")
    if all(_is_ipv4(address) for address in each):
        return "ipv4:" + ",".join(each)
    if len(each) == 1:
        return "dns:///" + each[0]
    raise ValueError(f"{addresses}: several replicas are IPv4 addresses, or one DNS name")


def _is_ipv4(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return port.isdigit()


class ServiceChannel(grpc.aio.Channel):
    """A channel that adds deadline and token where a call is made: an interceptor would cost a task for each call."""

    def __init__(self, channel: grpc.aio.Channel, token: TokenSource, timeout_seconds: float) -> None:
        self._channel, self._token, self._timeout_seconds = channel, token, timeout_seconds
        self._observer = MadeCalls.find()

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._with_terms(method, self._channel.unary_unary(method, *args, **kwargs), self._timeout_seconds)

    def stream_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._with_terms(method, self._channel.stream_unary(method, *args, **kwargs), self._timeout_seconds)

    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._with_terms(method, self._channel.unary_stream(method, *args, **kwargs), None)

    def stream_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._with_terms(method, self._channel.stream_stream(method, *args, **kwargs), None)

    def _with_terms(
        self, method: str, callable_: Callable[..., Any], default_seconds: float | None
    ) -> Callable[..., Any]:
        if self._observer is not None:
            callable_ = observed(self._observer, method, callable_)

        def call(request: Any = None, *, timeout: float | None = None, metadata: Any = None, **kwargs: Any) -> Any:
            own = timeout if timeout is not None else default_seconds
            return callable_(request, timeout=next_hop_timeout(own), metadata=self._metadata(metadata), **kwargs)

        return call

    def _metadata(self, metadata: Any) -> Any:
        given = tuple(metadata or ())
        if any(key == METADATA_KEY for key, _ in given):
            return given
        token = self._token()
        return (*given, (METADATA_KEY, token)) if token else given

    async def close(self, grace: float | None = None) -> None:
        await self._channel.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self._channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._channel.channel_ready()

    async def __aenter__(self) -> "ServiceChannel":
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()
