"""Public methods passed on as bytes: a new method is a new descriptor and no code here."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from weft_core.errors import server_stopping
from weft_grpckit.context import Context
from weft_grpckit.contract import MethodContract, contracts_of
from weft_grpckit.status import from_rpc_error
from weft_telemetry.rpc import note_status

from weft_gateway.waits import request_after

# An allow-list: nobody can forge what services tell each other, and keys stop here.
FORWARDED_METADATA: Final = frozenset({"traceparent", "tracestate", "x-request-id"})
_SERVER_STOPPING: Final = server_stopping().reason
_READ_TRIES: Final = 4
_READ_PAUSE_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Route:
    """A public method, and where it goes: under its own path unless `upstream_path` says otherwise.

    `shown` makes the public response of one that has more in it.
    """

    contract: MethodContract
    channel: grpc.aio.Channel
    upstream_path: str = ""
    shown: Callable[[bytes], bytes] | None = None

    @property
    def path(self) -> str:
        return self.upstream_path or self.contract.path


def routes_to(channel: grpc.aio.Channel, services: Iterable[ServiceDescriptor]) -> list[Route]:
    return [Route(contract, channel) for contract in contracts_of(services)]


class ForwardingHandler(grpc.GenericRpcHandler):
    """Serves routes. The channel adds token and deadline, so bytes, metadata and status are all there is to do."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._handlers = {route.contract.path: _handler(route) for route in routes}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return self._handlers.get(handler_call_details.method)


def _handler(route: Route) -> Any:
    # No serializers anywhere: grpc then hands over each message's bytes as they are.
    if route.contract.is_client_streaming:
        raise NotImplementedError(f"{route.path}: a cut request stream would look whole; it must not be forwarded")
    if route.contract.is_server_streaming:
        return grpc.unary_stream_rpc_method_handler(_forward_stream(route))
    return grpc.unary_unary_rpc_method_handler(_forward_unary(route))


def _forward_unary(route: Route) -> Any:
    call_upstream: Any = route.channel.unary_unary(route.path)
    tries = _READ_TRIES if route.contract.scope.endswith(".read") else 1

    async def forward(request: bytes, context: Context) -> bytes:
        metadata, now = passed_metadata(context), asyncio.get_running_loop().time
        began, asked = now(), request
        for attempt in range(1, tries + 1):
            call = call_upstream(asked, metadata=metadata)
            try:
                response: bytes = await call
                context.set_trailing_metadata(await call.trailing_metadata())
                return response if route.shown is None else route.shown(response)
            except grpc.aio.AioRpcError as error:
                if attempt == tries or not _is_lost_peer(error):
                    await pass_on(error, context)
            finally:
                call.cancel()
            await asyncio.sleep(_READ_PAUSE_SECONDS * attempt * random.uniform(0.5, 1))
            asked = request_after(route.path, request, now() - began)
        raise AssertionError("the last attempt returns or raises")

    return forward


def _forward_stream(route: Route) -> Any:
    call_upstream: Any = route.channel.unary_stream(route.path)

    async def forward(request: bytes, context: Context) -> AsyncIterator[bytes]:
        call = call_upstream(request, metadata=passed_metadata(context))
        try:
            async for message in call:
                yield message
            context.set_trailing_metadata(await call.trailing_metadata())
        except grpc.aio.AioRpcError as error:
            await pass_on(error, context)
        finally:
            # The client may leave while this awaits (CancelledError) or while it yields (GeneratorExit).
            call.cancel()

    return forward


def passed_metadata(context: Context) -> tuple[tuple[str, str | bytes], ...]:
    """Return what of a call's metadata goes on to the service behind."""
    return tuple((key, value) for key, value in context.invocation_metadata() or () if key in FORWARDED_METADATA)


def _is_lost_peer(error: grpc.aio.AioRpcError) -> bool:
    """Tell whether another replica may answer: the service could not be reached, or it stops."""
    if error.code() is not grpc.StatusCode.UNAVAILABLE:
        return False
    told = from_rpc_error(error)
    return told is None or told.reason == _SERVER_STOPPING


async def pass_on(error: grpc.aio.AioRpcError, context: Context) -> NoReturn:
    """End with the service's own status, details and trailing metadata; else let the error table say what it means."""
    told = from_rpc_error(error)
    if told is None:
        raise error
    note_status(error.code().name, told.reason)
    await context.abort(error.code(), error.details() or "", tuple(error.trailing_metadata() or ()))
