"""A collector: takes spans over OTLP and keeps them, so that a test can look at the shape of a trace."""

import threading
from collections.abc import Callable
from concurrent import futures
from dataclasses import dataclass, field
from typing import Any, Self

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc


@dataclass(frozen=True, slots=True)
class ReceivedSpan:
    """Ids in hexadecimal, `parent_id` empty for a root; `kind` as SERVER, CLIENT, INTERNAL, CONSUMER."""

    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    is_error: bool
    attributes: dict[str, Any] = field(compare=False)


class OtlpReceiver(
    trace_service_pb2_grpc.TraceServiceServicer,  # type: ignore[misc,unused-ignore]
):
    """Listens on a free port while it is entered."""

    def __init__(self) -> None:
        self._server = grpc.server(futures.ThreadPoolExecutor(2))
        self._changed = threading.Condition()
        self._spans: list[ReceivedSpan] = []
        self.metric_names: set[tuple[str, str]] = set()  # of service and metric
        self.endpoint = ""

    def __enter__(self) -> Self:
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(  # type: ignore[no-untyped-call,unused-ignore]
            self, self._server
        )
        metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(  # type: ignore[no-untyped-call,unused-ignore]
            _Metrics(self), self._server
        )
        self.endpoint = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait()

    @property
    def spans(self) -> list[ReceivedSpan]:
        with self._changed:
            return list(self._spans)

    def trace(self, trace_id: str) -> list[ReceivedSpan]:
        return [span for span in self.spans if span.trace_id == trace_id]

    def wait_for(self, is_there: Callable[[], object], seconds: float = 20.0) -> bool:
        """Wait until `is_there`, looked at whenever something was received; tell whether it came."""
        with self._changed:
            return bool(self._changed.wait_for(is_there, seconds))

    def Export(self, request: Any, context: Any) -> Any:
        received = [
            _received(_text_attributes(resource.resource.attributes).get("service.name", ""), span)
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        with self._changed:
            self._spans += received
            self._changed.notify_all()
        return trace_service_pb2.ExportTraceServiceResponse()

    def note_metrics(self, found: set[tuple[str, str]]) -> None:
        with self._changed:
            self.metric_names |= found
            self._changed.notify_all()


class _Metrics(metrics_service_pb2_grpc.MetricsServiceServicer):  # type: ignore[misc,unused-ignore]
    def __init__(self, receiver: OtlpReceiver) -> None:
        self._receiver = receiver

    def Export(self, request: Any, context: Any) -> Any:
        self._receiver.note_metrics(
            {
                (_text_attributes(resource.resource.attributes).get("service.name", ""), metric.name)
                for resource in request.resource_metrics
                for scope in resource.scope_metrics
                for metric in scope.metrics
            }
        )
        return metrics_service_pb2.ExportMetricsServiceResponse()


def _received(service: str, span: Any) -> ReceivedSpan:
    kind = type(span).SpanKind.Name(span.kind).removeprefix("SPAN_KIND_")
    return ReceivedSpan(
        service,
        span.name,
        kind,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.status.code == type(span.status).STATUS_CODE_ERROR,
        _text_attributes(span.attributes),
    )


def _text_attributes(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}
