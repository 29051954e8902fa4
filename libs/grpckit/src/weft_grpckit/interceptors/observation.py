"""What is seen of each served call from outside: a span, a duration, a status."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, cast

from weft_telemetry import names
from weft_telemetry.rpc import CANCELLED, OK, ServedCall, ServedCalls

from weft_grpckit.context import Context, served_ids
from weft_grpckit.contract import MethodContract
from weft_grpckit.interceptors.wrapping import StreamCall, UnaryCall, WrappingInterceptor

_ATTRIBUTES = {"tenant_id": names.TENANT, "run_id": names.RUN}


class ObservationInterceptor(WrappingInterceptor):
    """The outermost one, so that it sees each call end. Only in the chain where traces or metrics are on."""

    def __init__(self) -> None:
        super().__init__()
        self._calls = ServedCalls()

    def unary(self, contract: MethodContract, call: UnaryCall) -> UnaryCall:
        method, is_background = contract.path[1:], _is_background(contract)

        async def observed(request: Any, context: Context) -> Any:
            served = self._calls.begin(method, context.invocation_metadata(), is_background=is_background)
            try:
                return await call(request, context)
            except BaseException as error:
                _note(served, error)
                raise
            finally:
                self._end(served)

        return observed

    def stream(self, contract: MethodContract, call: StreamCall) -> StreamCall:
        method, is_background = contract.path[1:], _is_background(contract)

        async def observed(request: Any, context: Context) -> AsyncIterator[Any]:
            served = self._calls.begin(method, context.invocation_metadata(), is_background=is_background)
            try:
                async with aclosing(cast(Any, call(request, context))) as responses:
                    async for response in responses:
                        yield response
            except BaseException as error:  # GeneratorExit: the client left while a message was sent
                _note(served, error)
                raise
            finally:
                self._end(served)

        return observed

    def _end(self, served: ServedCall) -> None:
        self._calls.end(served, {_ATTRIBUTES[key]: value for key, value in served_ids().items() if key in _ATTRIBUTES})


def _note(served: ServedCall, error: BaseException) -> None:
    """Say how a call failed, unless whoever ended it has said so."""
    if served.code == OK:
        served.code = "UNKNOWN" if isinstance(error, Exception) else CANCELLED


def _is_background(contract: MethodContract) -> bool:
    return bool(contract.service_callers) and not contract.scope
