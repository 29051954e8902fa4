"""Ends a wait for a stream that says nothing any more: a blocking read has no limit of time of its own."""

import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from weft_client.errors import UnavailableError, WeftError


class SilenceGuard:
    """Cancels a call while nothing comes from it for some seconds. The time that the reader takes does not count."""

    def __init__(self, call: Any, seconds: float) -> None:
        self._call, self._seconds = call, seconds
        self._waiting_since: float | None = None
        self._is_silent = False
        self._is_done = False
        self._news = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="weft-client-silence", daemon=True)

    def responses(self) -> Iterator[Any]:
        """Yield what the call brings. Raises: UnavailableError: it was silent for too long."""
        while True:
            self._waiting_since = time.monotonic()
            try:
                response = next(self._call)
            except StopIteration:
                return
            except WeftError as error:
                if self._is_silent:
                    raise self._silent() from error
                raise
            self._waiting_since = None
            yield response

    def limit(self, seconds: float) -> None:
        """From now on, allow only so many seconds of silence."""
        self._seconds = seconds
        self._news.set()

    def _silent(self) -> WeftError:
        return UnavailableError("", f"nothing came for {self._seconds:g} s")

    def _watch(self) -> None:
        due = self._seconds
        while True:
            self._news.wait(due)
            self._news.clear()
            if self._is_done:
                return
            since = self._waiting_since
            due = self._seconds if since is None else since + self._seconds - time.monotonic()
            if due <= 0:
                self._is_silent = True
                self._call.cancel()
                return

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._is_done = True
        self._news.set()
        self._thread.join()
