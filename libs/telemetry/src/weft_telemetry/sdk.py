"""OpenTelemetry's SDK as a service runs it. Imported only where something is on.

Spans wait in the SDK's bounded queue for a thread that exports them; what does not fit is dropped, and what cannot be
exported is given up: neither ever holds up a call.
"""

import logging
import threading
from collections.abc import Callable

from opentelemetry.exporter.otlp.proto.grpc.exporter import OTLPExporterMixin
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from weft_telemetry.settings import TelemetrySettings
from weft_telemetry.state import Telemetry

SCOPE = "weft"


def started(service: str, settings: TelemetrySettings) -> tuple[Telemetry, Callable[[float], None]]:
    """Start what the settings ask for. Returns it, and what sends the rest within so many seconds and stops it.

    Raises: OSError: the port for Prometheus is taken.
    """
    # The SDK says at every interval that a collector is away; once it is known, that is noise.
    logging.getLogger(OTLPExporterMixin.__module__).addFilter(_OncePerMinute())
    resource = Resource.create({"service.name": service, "service.namespace": "weft"})
    closers: list[Callable[[], object]] = []
    tracer = meter = None
    if settings.is_tracing:
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        closers.append(provider.shutdown)
        tracer = provider.get_tracer(SCOPE)
    if settings.metric_exporters:
        meters = MeterProvider(_readers(settings), resource=resource, shutdown_on_exit=False)
        closers.append(meters.shutdown)
        meter = meters.get_meter(SCOPE)
    return Telemetry(tracer, meter, settings.capture_message_content), lambda seconds: _close(closers, seconds)


def _readers(settings: TelemetrySettings) -> list[MetricReader]:
    readers: list[MetricReader] = []
    if "otlp" in settings.metric_exporters:
        readers.append(PeriodicExportingMetricReader(OTLPMetricExporter()))
    if "prometheus" in settings.metric_exporters:
        from weft_telemetry.prometheus import prometheus_reader

        readers.append(
            prometheus_reader(settings.otel_exporter_prometheus_host, settings.otel_exporter_prometheus_port)
        )
    return readers


def _close(closers: list[Callable[[], object]], seconds: float) -> None:
    """Send what is left, each exporter on a thread of its own: one that gets no answer is left behind."""
    threads = [threading.Thread(target=close, name="telemetry flush", daemon=True) for close in closers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds / len(threads))


class _OncePerMinute(logging.Filter):
    """Lets each place in the code say something once a minute."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[tuple[str, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        place = record.pathname, record.lineno
        if record.created - self._said.get(place, 0.0) < 60.0:
            return False
        self._said[place] = record.created
        return True
