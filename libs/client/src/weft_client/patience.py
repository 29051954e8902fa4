"""When a failed call is made again, and after how long. Pure: time is given, chance too."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from weft_client.errors import WeftError

_BASE_SECONDS: Final = 0.1
_MOST_SECONDS: Final = 2.0
_MOST_DOUBLINGS: Final = 10
# Transports say these where a connection was cut, proxies too; a service of Weft always gives a reason with them.
_CUT: Final = frozenset({"INTERNAL", "UNKNOWN"})
_READS: Final = ("Get", "List", "Search", "Read", "Wait", "Query", "Verify")

Chance = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a client goes on trying, in seconds.

    `first_seconds`: a server that has not answered this client yet. `lost_seconds`: one that has, and is away.
    `silence_seconds`: a watch in which nothing came is opened anew; the server sends a keep-alive every 10.
    """

    first_seconds: float = 5.0
    lost_seconds: float = 60.0
    silence_seconds: float = 30.0


class Contact:
    """Whether the server has ever answered this client; shared by all its calls."""

    is_made = False


class Outage:
    """How long a server has not been heard, and what to wait before the next try."""

    def __init__(self, patience: Patience, contact: Contact, chance: Chance = random.random) -> None:
        self._patience, self._contact, self._chance = patience, contact, chance
        self._since: float | None = None
        self._failures = 0

    def heard(self) -> None:
        """The server is there: the next outage is a new one."""
        self._contact.is_made, self._since, self._failures = True, None, 0

    def failed(self, error: WeftError, now: float) -> float:
        """Return the seconds to wait before the next try. Raises: `error`: it has lasted too long."""
        self._since = now if self._since is None else self._since
        self._failures += 1
        delay = self._delay(error.retry_after_seconds)
        limit = self._patience.lost_seconds if self._contact.is_made else self._patience.first_seconds
        if now + delay - self._since > limit:
            error.add_note(f"given up after {self._failures} tries in {now - self._since:.1f} s")
            raise error
        return delay

    def _delay(self, wanted: float | None) -> float:
        """Spread what many clients do after one restart: up to the doubled time, at least what the server asked for."""
        growing = min(_MOST_SECONDS, _BASE_SECONDS * 2.0 ** min(self._failures - 1, _MOST_DOUBLINGS))
        if wanted is None:
            return growing * (0.5 + self._chance() / 2)
        if self._failures == 1:
            growing = _BASE_SECONDS
        return wanted + growing * self._chance()


class Tries:
    """The tries of one call with one answer: within its time, and as long as the server may be away."""

    def __init__(self, outage: Outage, *, is_repeatable: bool, until: float) -> None:
        self._outage, self._is_repeatable, self._until = outage, is_repeatable, until

    def remaining(self, now: float) -> float:
        return max(self._until - now, 0.0)

    def failed(self, error: WeftError, now: float) -> float:
        """Return the seconds to wait before the next try. Raises: `error`: there is none."""
        if not self._is_repeatable or not is_transient(error):
            raise error
        delay = self._outage.failed(error, now)
        if now + delay >= self._until:
            raise error
        return delay


def is_transient(error: WeftError) -> bool:
    """Say whether the same call may succeed a little later, without anybody doing anything about it."""
    match error.code:
        case "UNAVAILABLE" | "CANCELLED":  # a server that stops or is overrun ends calls with a bare CANCELLED
            return True
        case "RESOURCE_EXHAUSTED":
            return error.reason == "OVERLOADED" or (not error.reason and error.retry_after_seconds is not None)
        case _:
            return error.code in _CUT and not error.reason


def is_repeatable(path: str, request: Any) -> bool:
    """Say whether a call has the same effect made twice: it reads, cancels, or carries an idempotency key."""
    name = path.rpartition("/")[2]
    return name.startswith(_READS) or name == "CancelRun" or bool(getattr(request, "request_id", ""))
