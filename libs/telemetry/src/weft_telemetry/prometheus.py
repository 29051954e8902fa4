"""The page that Prometheus scrapes, served by a thread."""

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server


def prometheus_reader(host: str, port: int) -> PrometheusMetricReader:
    """Serve `http://host:port/metrics`, with the process's memory and CPU. Raises: OSError: the port is taken."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    reader = PrometheusMetricReader(scope_info_enabled=False, registry=registry)
    start_http_server(port, host, registry)
    return reader
