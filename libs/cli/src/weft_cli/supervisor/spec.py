"""What the client tells the supervisor to run."""

import signal
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Spec:
    """One program. Higher tiers stop first; `death_signal` is what it gets when the supervisor itself is killed."""

    name: str
    argv: tuple[str, ...]
    log: str
    env: Mapping[str, str] = field(repr=False)
    tier: int = 0
    stop_signal: int = signal.SIGTERM
    stop_seconds: float = 10.0
    death_signal: int = signal.SIGKILL
    uid: int | None = None
    gid: int | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(value: dict[str, Any]) -> "Spec":
        return Spec(**{**value, "argv": tuple(value["argv"])})
