"""Calls to other services, seen from outside. Not an interceptor: those of grpc.aio cost a task for each call."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import grpc
from weft_telemetry.rpc import MadeCall, MadeCalls

from weft_grpckit.status import reason_in

T = TypeVar("T")


def observed(observer: MadeCalls, method: str, callable_: Callable[..., Any]) -> Callable[..., Any]:
    """Return `callable_` with a span, a duration and the trace context for each call of it."""
    name = method.decode() if isinstance(method, bytes) else method

    def call(request: Any, *, metadata: Any = None, **kwargs: Any) -> Any:
        made, sent = observer.begin(name.removeprefix("/"), metadata or ())
        under_way = callable_(request, metadata=sent, **kwargs)
        under_way.add_done_callback(lambda done: _ended(made, done))
        return under_way

    return call


def _ended(made: MadeCall, call: Any) -> None:
    code = _known(call.code())
    reason = "" if code is grpc.StatusCode.OK else reason_in(_known(call.trailing_metadata()))
    made.end(code.name, reason)


def _known(answer: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine returns that has nothing left to wait for: its call is done."""
    try:
        answer.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    raise RuntimeError("the call is not done")
