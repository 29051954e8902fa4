"""Streams whose responses are bytes already."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc

Serve = Callable[[Any, Any], AsyncIterator[bytes]]


def stream_handler(path: str, serve: Serve, deserialize: Callable[[bytes], Any]) -> grpc.GenericRpcHandler:
    """Return what serves the method at `path`; `serve` is an async generator function."""
    untyped: Any = serve
    method: Any = grpc.unary_stream_rpc_method_handler(
        untyped, request_deserializer=deserialize, response_serializer=None
    )
    service, name = path.removeprefix("/").split("/")
    return grpc.method_handlers_generic_handler(service, {name: method})
