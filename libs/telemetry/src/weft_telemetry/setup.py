"""Setting up logging, traces and metrics, once, before a service is put together."""

from collections.abc import Callable

from weft_telemetry import state
from weft_telemetry.logs import Ids, set_up_logging
from weft_telemetry.settings import TelemetrySettings

_closers: list[Callable[[float], None]] = []


def set_up(service: str, settings: TelemetrySettings, level: str = "INFO", ids: Ids = dict[str, str]) -> None:
    """Start what the settings ask for; where that is nothing, OpenTelemetry is not even imported.

    `ids` tells of whoever is worked for. Raises: OSError: the port for Prometheus is taken.
    """
    set_up_logging(service, level, settings.log_format, ids)
    if settings.is_tracing or settings.metric_exporters:
        from weft_telemetry.sdk import started

        telemetry, close = started(service, settings)
        state.install(telemetry)
        _closers.append(close)


def shut_down(seconds: float) -> None:
    """Send what is left, for so many seconds at most."""
    state.install(state.OFF)
    while _closers:
        _closers.pop()(seconds)
