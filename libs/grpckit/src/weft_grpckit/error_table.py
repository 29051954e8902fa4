"""Which exception becomes which error, in one place. A service adds its own kinds where it is put together."""

from collections.abc import Callable
from typing import Any, TypeVar

import grpc
from weft_core.errors import DeadlineExceededError, UnavailableError, WeftError

from weft_grpckit.status import from_rpc_error

Raised = TypeVar("Raised", bound=BaseException)

SERVICE_RETRY_SECONDS = 1.0


class ErrorTable:
    """Maps exception classes to errors; the nearest base class counts. What is not in it is a fault of the server."""

    def __init__(self) -> None:
        self._table: dict[type[BaseException], Callable[[Any], WeftError | None]] = {}
        self.register(WeftError, lambda error: error)
        self.register(grpc.aio.AioRpcError, peer_error)

    def register(self, kind: type[Raised], convert: Callable[[Raised], WeftError | None]) -> None:
        """Add a kind of exception. `convert` may return None: then it is an internal error after all."""
        self._table[kind] = convert

    def find(self, error: BaseException) -> WeftError | None:
        """Return what the caller is told, None for an unknown exception."""
        for kind in type(error).__mro__:
            if convert := self._table.get(kind):
                return convert(error)
        return None


def peer_error(error: grpc.aio.AioRpcError) -> WeftError | None:
    """Return what a failed call of another service means to this service's caller."""
    passed_on = from_rpc_error(error)
    if passed_on is not None:
        return passed_on
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return deadline_exceeded()
    # A CANCELLED that nobody asked for comes from a peer that restarts or refuses streams in a storm.
    if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
        return service_unavailable()
    return None


def service_unavailable() -> UnavailableError:
    return UnavailableError(
        "SERVICE_UNAVAILABLE",
        "a service behind this one cannot be reached; try again after the retry delay",
        retry_after_seconds=SERVICE_RETRY_SECONDS,
    )


def deadline_exceeded() -> DeadlineExceededError:
    return DeadlineExceededError(
        "DEADLINE_EXCEEDED",
        "the call's deadline passed; whether it took effect is unknown: repeat it with the same request_id",
    )
