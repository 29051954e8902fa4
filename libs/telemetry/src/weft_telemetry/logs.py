"""Logging of a service process: one line for each record on stderr, written by a thread, never by the event loop."""

import atexit
import copy
import json
import logging
import queue
import sys
import time
from collections.abc import Callable, Mapping
from logging.handlers import QueueHandler, QueueListener
from typing import Any, Final

from weft_telemetry.tracing import current_ids

# A process that logs faster than stderr takes it loses records rather than memory.
MAX_WAITING_RECORDS: Final = 10_000
FORMAT: Final = "%(asctime)s.%(msecs)03dZ %(levelname)s {service} %(name)s: %(message)s"

_FORMATTER: Final = logging.Formatter()

Ids = Callable[[], Mapping[str, str]]
"""Returns what is known of whom the code that logs works for: tenant, run_id …"""


class DroppingHandler(QueueHandler):
    """Drops what does not fit instead of complaining about each record. What only the place of logging knows is looked
    up here: the thread that writes cannot."""

    def __init__(self, waiting: "queue.Queue[logging.LogRecord]", ids: Ids) -> None:
        super().__init__(waiting)
        self._ids = ids

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            pass

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        record = copy.copy(record)
        record.msg, record.args = record.getMessage(), None
        if record.exc_info:  # as text: the exception would keep all its frames alive
            record.exc_text = _FORMATTER.formatException(record.exc_info)
            record.exc_info = None
        record.ids = {**_trace(), **self._ids()}
        return record


class JsonFormatter(logging.Formatter):
    """One object a line."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "ids", {}),
        }
        if record.exc_text:
            line["exception"] = record.exc_text
        return json.dumps(line, ensure_ascii=False, default=str)


def set_up_logging(service: str, level: str = "INFO", log_format: str = "text", ids: Ids = dict[str, str]) -> None:
    """Send all records from `level` up to stderr, times in UTC. Call it once, at the start of a process."""
    stream = logging.StreamHandler(sys.stderr)
    stream.setFormatter(JsonFormatter(service) if log_format == "json" else _text_formatter(service))
    waiting: queue.Queue[logging.LogRecord] = queue.Queue(MAX_WAITING_RECORDS)
    listener = QueueListener(waiting, stream)
    logging.root.handlers[:] = [DroppingHandler(waiting, ids)]
    logging.root.setLevel(level)
    listener.start()
    atexit.register(listener.stop)


def _text_formatter(service: str) -> logging.Formatter:
    formatter = logging.Formatter(FORMAT.format(service=service), datefmt="%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    return formatter


def _trace() -> dict[str, str]:
    trace_id, span_id = current_ids()
    return {"trace_id": trace_id, "span_id": span_id} if trace_id else {}
