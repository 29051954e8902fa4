"""Logging of a service process: one line for each record on stderr, written by a thread, never by the event loop."""

import atexit
import logging
import queue
import sys
import time
from logging.handlers import QueueHandler, QueueListener
from typing import Final

# A process that logs faster than stderr takes it loses records rather than memory.
MAX_WAITING_RECORDS: Final = 10_000
FORMAT: Final = "%(asctime)s.%(msecs)03dZ %(levelname)s {service} %(name)s: %(message)s"


class DroppingHandler(QueueHandler):
    """Drops what does not fit instead of complaining about each record."""

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            pass


def set_up_logging(service: str, level: str = "INFO") -> None:
    """Send all records from `level` up to stderr, times in UTC. Call it once, at the start of a process."""
    formatter = logging.Formatter(FORMAT.format(service=service), datefmt="%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    stream = logging.StreamHandler(sys.stderr)
    stream.setFormatter(formatter)
    waiting: queue.Queue[logging.LogRecord] = queue.Queue(MAX_WAITING_RECORDS)
    listener = QueueListener(waiting, stream)
    logging.root.handlers[:] = [DroppingHandler(waiting)]
    logging.root.setLevel(level)
    listener.start()
    atexit.register(listener.stop)
