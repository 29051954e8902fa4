"""One stack per folder, however the last one ended."""

import fcntl
import os
import time
from pathlib import Path

STOPPING = "stopping"
NOTICE_SECONDS = 1.5  # within which the supervisor of a killed client notices and says that it is stopping
STOP_SECONDS = 40.0


class FolderLock:
    """A lock that ends with this process. A holder that is stopping is waited for, any other is an answer at once."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / "lock").open("a+")

    def take(self) -> str | None:
        """Return None once held, else who holds it."""
        noticed_by, stopped_by = time.monotonic() + NOTICE_SECONDS, time.monotonic() + STOP_SECONDS
        while not self._try():
            holder = self._read()
            if time.monotonic() > (stopped_by if holder.endswith(STOPPING) else noticed_by):
                return holder or "another process"
            time.sleep(0.05)
        self._write(f"process {os.getpid()}")
        return None

    def say_stopping(self) -> None:
        self._write(f"process {os.getpid()}, which is {STOPPING}")

    def _try(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _read(self) -> str:
        self._file.seek(0)
        return self._file.read().strip()

    def _write(self, text: str) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._file.write(text)
        self._file.flush()
