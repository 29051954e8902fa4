"""Spans and metrics of gRPC calls, for the interceptor and the channel of grpckit.

Contrib's interceptors for grpc.aio lose spans of cancelled streams and swallow cancellations; these own nothing of a
call but a note of when it began.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from weft_telemetry import names, state
from weft_telemetry.metrics import recorder
from weft_telemetry.tracing import TRACEPARENT, TRACESTATE, remote_context, traceparent_of

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

OK: Final = "OK"
CANCELLED: Final = "CANCELLED"
# Statuses that are a fault of the server, and not of who called it. Source: semantic conventions for gRPC.
_FAULTS: Final = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})

_served: ContextVar[ServedCall | None] = ContextVar("weft_served_call", default=None)


def note_status(code: str, reason: str) -> None:
    """Say with what the call being served is ended: who watches it sees only that it is."""
    served = _served.get()
    if served is not None:
        served.code, served.reason = code, reason


class ServedCall:
    """A call from its beginning to its end."""

    __slots__ = ("_began", "_method", "code", "reason", "span")

    def __init__(self, method: str, span: Span | None) -> None:
        self._method, self.span = method, span
        self._began = time.perf_counter()
        self.code, self.reason = OK, ""

    @property
    def method(self) -> str:
        return self._method

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._began


class ServedCalls:
    """What a server tells of the calls that it serves."""

    def __init__(self) -> None:
        self._tracer = state.installed().tracer
        self._record = recorder(names.RPC_SERVER_DURATION)

    def begin(self, method: str, metadata: Any, *, is_background: bool) -> ServedCall:
        """Take up a call; all that its task does from now on belongs to it. A call of the background (heartbeats and
        the like) gets a span only where its caller has one."""
        call = ServedCall(method, self._span(method, metadata, is_background))
        _served.set(call)  # like the span, it ends with the call's task: nothing is reset
        return call

    def end(self, call: ServedCall, attributes: dict[str, str]) -> None:
        self._record(call.seconds, call.method, call.code, call.reason or None)
        if call.span is not None:
            _end_span(call.span, call.code, call.reason, attributes, is_fault=call.code in _FAULTS)

    def _span(self, method: str, metadata: Any, is_background: bool) -> Span | None:
        if self._tracer is None:
            return None
        traceparent, tracestate = _sent(metadata)
        parent = remote_context(traceparent, tracestate) if traceparent else None
        if parent is None and is_background:
            return None
        from opentelemetry.context import attach
        from opentelemetry.trace import SpanKind, set_span_in_context

        made = self._tracer.start_span(method, parent, SpanKind.SERVER, _attributes(method))
        attach(set_span_in_context(made))
        return made


class MadeCalls:
    """What a channel tells of the calls that are made over it."""

    def __init__(self) -> None:
        self._tracer = state.installed().tracer
        self._record = recorder(names.RPC_CLIENT_DURATION)

    @staticmethod
    def find() -> MadeCalls | None:
        """Return what watches calls, None where nothing is on."""
        return MadeCalls() if state.installed().is_on else None

    def begin(self, method: str, metadata: tuple[Any, ...]) -> tuple[MadeCall, tuple[Any, ...]]:
        """Return a call about to be made, and its metadata with the trace in it. A call that is made for no other and
        for no run starts no trace."""
        span = _client_span(self._tracer, method)
        if span is not None:
            metadata = tuple(pair for pair in metadata if pair[0] not in (TRACEPARENT, TRACESTATE))
            context = span.get_span_context()
            metadata = (*metadata, (TRACEPARENT, traceparent_of(context)))
            if context.trace_state:
                metadata = (*metadata, (TRACESTATE, context.trace_state.to_header()))
        return MadeCall(method, span, self._record), metadata


class MadeCall:
    """A call that is under way."""

    __slots__ = ("_began", "_method", "_record", "_span")

    def __init__(self, method: str, span: Span | None, record: Any) -> None:
        self._method, self._span, self._record = method, span, record
        self._began = time.perf_counter()

    def end(self, code: str, reason: str) -> None:
        self._record(time.perf_counter() - self._began, self._method, code)
        if self._span is not None:
            _end_span(self._span, code, reason, {}, is_fault=code not in (OK, CANCELLED))


def _client_span(tracer: Tracer | None, method: str) -> Span | None:
    if tracer is None:
        return None
    from opentelemetry.trace import SpanKind, get_current_span

    if not get_current_span().get_span_context().is_valid:
        return None
    return tracer.start_span(method, kind=SpanKind.CLIENT, attributes=_attributes(method))


def _attributes(method: str) -> dict[str, str]:
    return {names.RPC_SYSTEM: "grpc", names.RPC_METHOD: method}


def _end_span(span: Span, code: str, reason: str, attributes: dict[str, str], *, is_fault: bool) -> None:
    from opentelemetry.trace import StatusCode

    span.set_attributes({names.RPC_STATUS: code, **attributes})
    if code != OK:
        span.set_attributes({names.ERROR_TYPE: code, **({names.REASON: reason} if reason else {})})
    if is_fault:
        span.set_status(StatusCode.ERROR)
    span.end()


def _sent(metadata: Any) -> tuple[str, str]:
    traceparent = tracestate = ""
    for key, value in metadata or ():
        if key == TRACEPARENT:
            traceparent = value
        elif key == TRACESTATE:
            tracestate = value
    return traceparent, tracestate
