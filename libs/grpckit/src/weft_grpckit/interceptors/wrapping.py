"""The shape that the interceptors share: wrap a method once, use the wrapped method for every call."""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, TypeAlias, cast

import grpc

from weft_grpckit.context import Context
from weft_grpckit.contract import MethodContract, find_contract

UnaryCall: TypeAlias = Callable[[Any, Context], Awaitable[Any]]
StreamCall: TypeAlias = Callable[[Any, Context], AsyncIterator[Any]]
# In quotes: it is generic in the type stubs only.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Deserializer: TypeAlias = Callable[[bytes], Any]
Continuation: TypeAlias = Callable[[grpc.HandlerCallDetails], Awaitable[Any]]

OURS = "/weft."


class WrappingInterceptor(grpc.aio.ServerInterceptor):
    """Wraps the methods of Weft's own contracts; health and reflection stay as they are.

    A streaming method must be an async generator function: grpc looks at the kind of function that it is given.
    """

    def __init__(self) -> None:
        self._wrapped: dict[str, Handler] = {}

    async def intercept_service(self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails) -> Any:
        path = handler_call_details.method
        found = self._wrapped.get(path)
        if found is not None:
            return found
        handler = await continuation(handler_call_details)
        if handler is None:
            return self.unknown(path)
        contract = find_contract(path) if path.startswith(OURS) else None
        if contract is None:
            return handler
        self._wrapped[path] = wrapped = self._wrap(contract, handler)
        return wrapped

    def unknown(self, path: str) -> "Handler | None":
        """Return what answers a call of a method that does not exist; None leaves it to grpc."""
        return None

    def unary(self, contract: MethodContract, call: UnaryCall) -> UnaryCall:
        raise NotImplementedError

    def stream(self, contract: MethodContract, call: StreamCall) -> StreamCall:
        raise NotImplementedError

    def deserializer(self, deserialize: "Deserializer | None") -> "Deserializer | None":
        """Return what makes a request of its bytes; grpc ends a call with a bare INTERNAL where that raises."""
        return deserialize

    def _wrap(self, contract: MethodContract, handler: Handler) -> Handler:
        serializers = self.deserializer(handler.request_deserializer), handler.response_serializer
        if handler.response_streaming:
            call = handler.stream_stream if handler.request_streaming else handler.unary_stream
            if not inspect.isasyncgenfunction(call):
                raise TypeError(f"{contract.path} must be an async generator function")
            streaming: Any = self.stream(contract, cast(StreamCall, call))
            if handler.request_streaming:
                return grpc.stream_stream_rpc_method_handler(streaming, *serializers)
            return grpc.unary_stream_rpc_method_handler(streaming, *serializers)
        single: Any = self.unary(
            contract, cast(UnaryCall, handler.stream_unary if handler.request_streaming else handler.unary_unary)
        )
        if handler.request_streaming:
            return grpc.stream_unary_rpc_method_handler(single, *serializers)
        return grpc.unary_unary_rpc_method_handler(single, *serializers)


class AsyncGuard(WrappingInterceptor):
    """Looks at a call before the method runs; raises to refuse it."""

    async def admit(self, contract: MethodContract, request: Any, context: Context) -> None:
        """`request` is an iterator where the request is a stream."""
        raise NotImplementedError

    def unary(self, contract: MethodContract, call: UnaryCall) -> UnaryCall:
        async def guarded(request: Any, context: Context) -> Any:
            await self.admit(contract, request, context)
            return await call(request, context)

        return guarded

    def stream(self, contract: MethodContract, call: StreamCall) -> StreamCall:
        async def guarded(request: Any, context: Context) -> AsyncIterator[Any]:
            await self.admit(contract, request, context)
            async with aclosing(cast(Any, call(request, context))) as responses:
                async for response in responses:
                    yield response

        return guarded


class Guard(AsyncGuard):
    """A guard that has nothing to wait for."""

    def check(self, contract: MethodContract, request: Any, context: Context) -> None:
        """`request` is an iterator where the request is a stream."""
        raise NotImplementedError

    async def admit(self, contract: MethodContract, request: Any, context: Context) -> None:
        self.check(contract, request, context)
