"""Instruments for whoever has something to count. Where metrics are off, recording is a call of an empty function."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from weft_telemetry import state
from weft_telemetry.names import OTHER, Kind, Metric

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Meter, Observation

MAX_VALUES: Final = 200
"""How many values a bounded attribute takes; the SDK bounds the series of a metric to 2,000."""

Record: TypeAlias = Callable[..., None]
"""Takes the value, then the values of the metric's attributes in their order; None leaves one out."""
Observed: TypeAlias = Callable[[], Iterable[tuple[float, tuple[str, ...]]]]


def recorder(metric: Metric) -> Record:
    """Return what records values of a counter or histogram."""
    meter = state.installed().meter
    if meter is None:
        return _ignore
    add = _instrument(meter, metric)
    attributes = _Attributes(metric)

    def record(value: float, *labels: str | None) -> None:
        add(value, attributes.of(labels))

    return record


def observe(metric: Metric, now: Observed) -> None:
    """Have `now` called, on another thread, when somebody asks for a gauge or counter that the process keeps anyway."""
    meter = state.installed().meter
    if meter is None:
        return
    attributes = _Attributes(metric)
    from opentelemetry.metrics import Observation

    def answer(_options: "CallbackOptions") -> "list[Observation]":
        return [Observation(value, attributes.of(labels)) for value, labels in now()]

    make = meter.create_observable_counter if metric.kind is Kind.COUNTER else meter.create_observable_gauge
    make(metric.name, [answer], unit=metric.unit, description=metric.meaning)


def observe_number(metric: Metric, now: Callable[[], float]) -> None:
    """The same, for a metric without attributes."""
    observe(metric, lambda: [(now(), ())])


def _ignore(value: float, first: str | None = None, second: str | None = None, *more: str | None) -> None:
    """Nobody counts."""


def _instrument(meter: "Meter", metric: Metric) -> Callable[[float, dict[str, str]], None]:
    if metric.kind is Kind.COUNTER:
        return meter.create_counter(metric.name, unit=metric.unit, description=metric.meaning).add
    if metric.kind is Kind.HISTOGRAM:
        return meter.create_histogram(
            metric.name,
            unit=metric.unit,
            description=metric.meaning,
            explicit_bucket_boundaries_advisory=list(metric.buckets) or None,
        ).record
    raise ValueError(f"{metric.name} is observed, not recorded")


class _Attributes:
    """Makes attributes of values, and holds those that others choose (tenants, models) within a bound."""

    def __init__(self, metric: Metric) -> None:
        self._names = metric.attributes
        self._seen: dict[int, set[str]] = {self._names.index(name): set() for name in metric.bounded}

    def of(self, values: Iterable[str | None]) -> dict[str, Any]:
        named = zip(self._names, values, strict=False)
        return {name: self._within(place, value) for place, (name, value) in enumerate(named) if value}

    def _within(self, place: int, value: str) -> str:
        seen = self._seen.get(place)
        if seen is None or value in seen:
            return value
        if len(seen) >= MAX_VALUES:
            return OTHER
        seen.add(value)
        return value
