"""One gRPC server as every Weft service runs it: health, reflection, interceptors in their order, and its end."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from weft_telemetry import names, state
from weft_telemetry.metrics import observe_number

from weft_grpckit import options
from weft_grpckit.contract import service_named
from weft_grpckit.error_table import ErrorTable
from weft_grpckit.interceptors.access import AccessInterceptor
from weft_grpckit.interceptors.admission import AdmissionInterceptor
from weft_grpckit.interceptors.errors import ErrorInterceptor
from weft_grpckit.interceptors.observation import ObservationInterceptor
from weft_grpckit.interceptors.validation import ValidationInterceptor
from weft_grpckit.interceptors.wrapping import WrappingInterceptor
from weft_grpckit.reflection import enable_reflection
from weft_grpckit.tokens import TokenVerifier

logger = logging.getLogger(__name__)

MAX_CALLS: Final = 20_000
# How long cancelled calls may take to clean up after the grace.
_CLEAN_UP_SECONDS: Final = 2.0


class WeftServer:
    """A server. Streams must look at `stopping` and end with `server_stopping()`, or they eat the whole grace."""

    def __init__(
        self,
        guards: Sequence[WrappingInterceptor],
        *,
        errors: ErrorTable | None = None,
        stopping: asyncio.Event | None = None,
        strict_reasons: bool = False,
        max_calls: int = MAX_CALLS,
    ) -> None:
        """`guards` look at each call in their order before its method; see `inner_guards`."""
        self.stopping = stopping or asyncio.Event()
        self._admission = AdmissionInterceptor(max_calls)
        outer = ErrorInterceptor(errors or ErrorTable(), self.stopping.is_set, strict_reasons=strict_reasons)
        self.interceptors: tuple[WrappingInterceptor, ...] = (outer, self._admission, *guards)
        if state.installed().is_on:
            self.interceptors = (ObservationInterceptor(), *self.interceptors)
            observe_number(names.ACTIVE_CALLS, lambda: self._admission.active_calls)
        self._server = grpc.aio.server(interceptors=self.interceptors, options=options.SERVER)
        self._health = health_aio.HealthServicer()  # type: ignore[no-untyped-call,unused-ignore]
        self._services: list[ServiceDescriptor] = []
        self._shown: list[ServiceDescriptor] | None = None

    @property
    def active_calls(self) -> int:
        return self._admission.active_calls

    def register(self, add_servicer: Callable[[Any, Any], None], servicer: object) -> None:
        """Serve `servicer`, by the generated `add_…Servicer_to_server`; reflection shows its service."""
        add_servicer(servicer, _Registrar(self._server, self._services))

    def add_handler(self, handler: grpc.GenericRpcHandler) -> None:
        """Serve what no generated code is used for; `show` says what reflection tells of it."""
        self._server.add_generic_rpc_handlers((handler,))

    def show(self, services: Iterable[ServiceDescriptor]) -> None:
        """Let reflection show exactly these services instead of those registered."""
        self._shown = list(services)

    async def start(self, address: str) -> int:
        """Listen on host:port (port 0 takes a free one), be healthy, and return the port.

        Raises: RuntimeError when the address is taken.
        """
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        enable_reflection(self._server, self._shown if self._shown is not None else self._services)
        port = self._server.add_insecure_port(address)
        await self._server.start()
        return port

    async def announce_stop(self) -> None:
        """Turn unhealthy and let streams end. Calls are still taken."""
        self.stopping.set()
        await self._health.enter_graceful_shutdown()

    async def stop(self, grace_seconds: float) -> None:
        """Take no more calls, let those under way end within the grace, and wait for what they clean up."""
        await self.announce_stop()
        await self._server.stop(grace_seconds)
        if not await self._admission.idle(_CLEAN_UP_SECONDS):
            logger.error("%d calls did not end when they were cancelled", self._admission.active_calls)


def inner_guards(verifier: TokenVerifier) -> list[WrappingInterceptor]:
    """Return the guards of a service behind the gateway: who may call, and whether the request keeps its contract."""
    return [AccessInterceptor(verifier), ValidationInterceptor()]


class _Registrar:
    """Stands in for the server in generated code, to learn which services it registers."""

    def __init__(self, server: grpc.aio.Server, services: list[ServiceDescriptor]) -> None:
        self._server, self._services = server, services

    def add_generic_rpc_handlers(self, handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        self._server.add_generic_rpc_handlers(handlers)

    def add_registered_method_handlers(self, service_name: str, method_handlers: Any) -> None:
        self._services.append(service_named(service_name))
        self._server.add_registered_method_handlers(service_name, method_handlers)
