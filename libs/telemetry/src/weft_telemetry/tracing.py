"""Spans, and the W3C trace context that goes from one process to the next.

OpenTelemetry's own functions are imported where they are called: only in a process in which tracing is on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from weft_telemetry import state

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, SpanContext, SpanKind

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
_W3C: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


def current_trace_id() -> str:
    """Return the id of the trace that the caller is part of, "" where there is none."""
    return _current_ids()[0]


def current_traceparent() -> str:
    """Return what makes another process part of the caller's trace, "" where there is none."""
    if state.installed().tracer is None:
        return ""
    from opentelemetry.trace import get_current_span

    found = get_current_span().get_span_context()
    return traceparent_of(found) if found.is_valid else ""


def traceparent_of(context: SpanContext) -> str:
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def remote_context(traceparent: str, tracestate: str = "") -> Context | None:
    """Return the context of a span in another process, None where the text is no traceparent."""
    found = _W3C.fullmatch(traceparent)
    if found is None:
        return None
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState, set_span_in_context

    parent = SpanContext(
        int(found[1], 16),
        int(found[2], 16),
        is_remote=True,
        trace_flags=TraceFlags(int(found[3], 16)),
        trace_state=TraceState.from_header([tracestate]) if tracestate else None,
    )
    return set_span_in_context(NonRecordingSpan(parent), _empty()) if parent.is_valid else None


@contextmanager
def span(name: str, attributes: Mapping[str, Any] | None = None, *, parent: str = "") -> Iterator[Span | None]:
    """Put what happens inside into a span of its own; None where tracing is off. `parent` is a traceparent, by default
    the current span is. An exception makes the span one that failed."""
    tracer = state.installed().tracer
    if tracer is None:
        yield None
        return
    from opentelemetry.trace import StatusCode, use_span

    made = tracer.start_span(name, remote_context(parent) if parent else None, attributes=attributes)
    try:
        with use_span(made, record_exception=False, set_status_on_exception=False):
            yield made
    except BaseException as error:
        made.set_attribute("error.type", type(error).__qualname__)
        made.set_status(StatusCode.ERROR)
        raise
    finally:
        made.end()


def kind(name: str) -> SpanKind:
    """Return OpenTelemetry's kind of span: CLIENT, SERVER, CONSUMER."""
    from opentelemetry.trace import SpanKind

    return SpanKind[name]


def _current_ids() -> tuple[str, str]:
    if state.installed().tracer is None:
        return "", ""
    from opentelemetry.trace import get_current_span

    found = get_current_span().get_span_context()
    return (f"{found.trace_id:032x}", f"{found.span_id:016x}") if found.is_valid else ("", "")


def current_ids() -> tuple[str, str]:
    """Return the ids of the current trace and span, empty where there is none."""
    return _current_ids()


def _empty() -> Context:
    from opentelemetry.context import Context

    return Context()
