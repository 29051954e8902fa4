"""Spans and metrics of this process, kept in memory for a test to look at."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from weft_telemetry import state
from weft_telemetry.names import Metric


@dataclass(frozen=True, slots=True)
class Recorded:
    exporter: InMemorySpanExporter
    reader: InMemoryMetricReader

    @property
    def spans(self) -> list[ReadableSpan]:
        """Return the spans that have ended, in that order."""
        return list(self.exporter.get_finished_spans())

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name == name]

    def points(self, metric: Metric) -> list[Any]:
        """Return the data points of a metric: each has `attributes`, and `value` or `count` and `sum`."""
        data = self.reader.get_metrics_data()
        return [
            point
            for resource in (data.resource_metrics if data is not None else ())
            for scope in resource.scope_metrics
            for found in scope.metrics
            if found.name == metric.name
            for point in found.data.data_points
        ]


@contextmanager
def recorded_telemetry(*, is_content_wanted: bool = False) -> Iterator[Recorded]:
    """Turn telemetry on for what is put together inside."""
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers, meters = TracerProvider(shutdown_on_exit=False), MeterProvider([reader], shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    state.install(state.Telemetry(tracers.get_tracer("test"), meters.get_meter("test"), is_content_wanted))
    try:
        yield Recorded(exporter, reader)
    finally:
        state.install(state.OFF)
        tracers.shutdown()
        meters.shutdown()
