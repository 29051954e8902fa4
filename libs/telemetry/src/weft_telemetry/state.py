"""What of telemetry is on in this process. Set once, before anything is put together: who is to be watched asks while
it is made, and when nobody watches it is made without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter
    from opentelemetry.trace import Tracer


@dataclass(frozen=True, slots=True)
class Telemetry:
    """`is_content_wanted`: prompts, answers, arguments and results may go into spans."""

    tracer: Tracer | None = None
    meter: Meter | None = None
    is_content_wanted: bool = False

    @property
    def is_on(self) -> bool:
        return self.tracer is not None or self.meter is not None


OFF = Telemetry()
_installed = [OFF]


def installed() -> Telemetry:
    return _installed[0]


def install(telemetry: Telemetry) -> None:
    _installed[0] = telemetry
