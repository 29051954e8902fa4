"""How every watch deals with streams that break. Pure: the clients do the calling and waiting."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Final, Generic, TypeVar

from weft_client.errors import WeftError, time_is_over
from weft_client.patience import Outage, is_transient

Item = TypeVar("Item")

# A server ends a stream right after the last event. Waited for, it sees a call that went well; left, a cancelled one.
LAST_SECONDS: Final = 1.0


class Resumable(ABC, Generic[Item]):
    """A place in a log, and what becomes of it when a stream of that log breaks.

    `subject` is the run or thread that is watched. `until` is the end of the caller's own time, on the clock that `now`
    comes from; None for no bound.
    """

    def __init__(self, subject: str, outage: Outage, until: float | None) -> None:
        self.subject, self.is_ended = subject, False
        self._outage, self._until = outage, until

    @abstractmethod
    def admit(self, response: Any) -> Iterator[Item]:
        """Yield what is new in a response. Raises: InternalError, which is transient: something between is missing."""

    @abstractmethod
    def ended(self, now: float) -> float:
        """The stream ended with OK. Return the seconds to wait before the next. Raises: WeftError: none will help."""

    def broken(self, error: WeftError, now: float) -> float:
        """The stream failed. Return the seconds to wait before the next. Raises: `error`: none will help."""
        if self.is_ended:
            return 0.0
        if not is_transient(error) and error.code != "DEADLINE_EXCEEDED":
            raise error
        delay = self._outage.failed(error, now)
        return delay if self._until is None else min(delay, max(self._until - now, 0.0))

    def seconds_left(self, now: float) -> float | None:
        """Return what a call may take, None for no bound. Raises: DeadlineExceededError: the caller's time is over."""
        if self._until is None:
            return None
        if now >= self._until:
            raise time_is_over(self.subject)
        return self._until - now
