"""Errors to statuses: the one place where an exception of a method ends."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, NoReturn, cast
from uuid import uuid4

import grpc
from google.protobuf.message import DecodeError
from weft_core.errors import (
    FieldViolation,
    InternalError,
    InvalidFieldsError,
    UnimplementedError,
    WeftError,
    server_stopping,
)
from weft_telemetry.rpc import note_status
from weft_telemetry.tracing import current_trace_id

from weft_grpckit.context import Context
from weft_grpckit.contract import MethodContract
from weft_grpckit.error_table import ErrorTable, deadline_exceeded
from weft_grpckit.interceptors.wrapping import Deserializer, Handler, StreamCall, UnaryCall, WrappingInterceptor
from weft_grpckit.status import to_status

logger = logging.getLogger(__name__)


class _Malformed:
    """Stands for a request whose bytes are not the message: broken, or with text that is not UTF-8."""

    def __init__(self, what: str) -> None:
        self.what = what


class ErrorInterceptor(WrappingInterceptor):
    """Ends failed calls with a status and ErrorInfo.

    With `strict_reasons` a reason that the method does not declare becomes an internal error, so that a test of that
    method fails; without, it is logged.
    """

    def __init__(self, table: ErrorTable, is_stopping: Callable[[], bool], *, strict_reasons: bool = False) -> None:
        super().__init__()
        self._table, self._is_stopping, self._strict = table, is_stopping, strict_reasons

    def unknown(self, path: str) -> "Handler | None":
        async def refuse(request: Any, context: Context) -> Any:
            told = path[:200]
            error = UnimplementedError("METHOD_UNKNOWN", f"there is no method {told}; list the methods by reflection")
            await context.abort_with_status(to_status(error))

        return grpc.unary_unary_rpc_method_handler(cast(Any, refuse))

    def deserializer(self, deserialize: Deserializer | None) -> Deserializer | None:
        if deserialize is None:
            return None

        def tolerant(data: bytes) -> Any:
            try:
                return deserialize(data)
            except DecodeError as error:
                return _Malformed(str(error))

        return tolerant

    def unary(self, contract: MethodContract, call: UnaryCall) -> UnaryCall:
        async def told(request: Any, context: Context) -> Any:
            try:
                _check_parsed(request)
                return await call(request, context)
            except grpc.aio.AbortError:
                raise
            except (Exception, asyncio.CancelledError) as error:
                await self._end(error, contract, context)

        return told

    def stream(self, contract: MethodContract, call: StreamCall) -> StreamCall:
        async def told(request: Any, context: Context) -> AsyncIterator[Any]:
            try:
                _check_parsed(request)
                async with aclosing(cast(Any, call(request, context))) as responses:
                    async for response in responses:
                        yield response
            except grpc.aio.AbortError:
                raise
            except (Exception, asyncio.CancelledError) as error:
                await self._end(error, contract, context)

        return told

    async def _end(self, error: BaseException, contract: MethodContract, context: Context) -> NoReturn:
        if isinstance(error, asyncio.CancelledError) and _is_own_cancellation():
            raise error
        told = self._declared(self._told(error, contract, context), contract)
        note_status(told.code, told.reason)
        await context.abort_with_status(to_status(told))

    def _told(self, error: BaseException, contract: MethodContract, context: Context) -> WeftError:
        found = self._table.find(error)
        if found is not None:
            return found
        if isinstance(error, asyncio.CancelledError) and self._is_stopping():
            return server_stopping()
        if isinstance(error, TimeoutError) and _has_passed(context):
            return deadline_exceeded()
        return internal(f"{contract.path} failed", error)

    def _declared(self, error: WeftError, contract: MethodContract) -> WeftError:
        if contract.allows_reason(error.reason):
            return error
        message = f"undeclared reason {error.reason} of {contract.path}"
        if not self._strict:
            logger.error("%s", message)
            return error
        strict = internal(message, error)
        return InternalError("INTERNAL", message, metadata=strict.metadata)


def _check_parsed(request: Any) -> None:
    if isinstance(request, _Malformed):
        raise InvalidFieldsError([FieldViolation("", f"not a message of this method: {request.what}", "encoding")])


def internal(what: str, error: BaseException) -> InternalError:
    """Log a fault of the server and return what the caller is told of it: where to find it, and nothing more."""
    trace_id = current_trace_id() or uuid4().hex
    logger.error("%s (trace_id %s)", what, trace_id, exc_info=error)
    return InternalError("INTERNAL", "internal error", metadata={"trace_id": trace_id})


def _is_own_cancellation() -> bool:
    """Tell whether the call itself was cancelled: else a task inside it was, and grpc would never send a status."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _has_passed(context: Context) -> bool:
    left: float | None = context.time_remaining()
    return left is not None and left <= 0
