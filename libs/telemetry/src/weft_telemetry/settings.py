"""What the environment says of telemetry: OpenTelemetry's own variables where there are such.

Only what decides whether anything is started is read here. The rest (endpoints, headers, samplers, resource attributes,
intervals, queue sizes) the SDK reads itself: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from pydantic import Field
from pydantic_settings import BaseSettings


class TelemetrySettings(BaseSettings):
    """The defaults start nothing: a process that nobody watches pays nothing."""

    # Where traces go: `none`, `otlp`. Further OTLP variables as usual: `OTEL_EXPORTER_OTLP_ENDPOINT` (gRPC;
    # http://localhost:4317), `OTEL_TRACES_SAMPLER`, `OTEL_RESOURCE_ATTRIBUTES` …
    otel_traces_exporter: str = Field("none", validation_alias="OTEL_TRACES_EXPORTER", pattern="^(none|otlp)$")
    # Where metrics go: `none`, `otlp`, `prometheus` (to be scraped), or `otlp,prometheus`.
    otel_metrics_exporter: str = Field(
        "none",
        validation_alias="OTEL_METRICS_EXPORTER",
        pattern="^(none|otlp|prometheus|otlp,prometheus|prometheus,otlp)$",
    )
    # Where Prometheus scrapes this process.
    otel_exporter_prometheus_host: str = Field("localhost", validation_alias="OTEL_EXPORTER_PROMETHEUS_HOST")
    # Each process of a machine needs a port of its own.
    otel_exporter_prometheus_port: int = Field(9464, validation_alias="OTEL_EXPORTER_PROMETHEUS_PORT", ge=1, le=65535)
    # Turns traces and metrics off, whatever the others say.
    otel_sdk_disabled: bool = Field(False, validation_alias="OTEL_SDK_DISABLED")
    # Puts what models and tools are told and answer into spans. Anybody who sees the traces can read it.
    capture_message_content: bool = Field(False, validation_alias="OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT")
    # `text` for people; `json`: one object a line, with trace, span, run, thread and tenant where they are known.
    log_format: str = Field("text", pattern="^(text|json)$")
    # The event loop being blocked for longer than so many seconds is logged with the stack that blocks; 0: nobody
    # looks. For tests and for finding faults; costs about 1 % of a core.
    stall_seconds: float = Field(0.0, ge=0, le=60)

    @property
    def is_tracing(self) -> bool:
        return not self.otel_sdk_disabled and self.otel_traces_exporter != "none"

    @property
    def metric_exporters(self) -> frozenset[str]:
        """Return which exporters of metrics are wanted."""
        return frozenset() if self.otel_sdk_disabled else frozenset(self.otel_metrics_exporter.split(",")) - {"none"}
