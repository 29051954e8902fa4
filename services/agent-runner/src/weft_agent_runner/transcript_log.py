"""Debug transcripts: what happens in a run, as a line of JSON each, in `<run>.jsonl`. Only where somebody asks for it.

Written behind, by one thread, at most every half second: what happens in that time is one write for each file. Nothing
waits for it, and what cannot be written is left out: a transcript is worth nothing that a run would have to suffer for.
"""

import asyncio
import json
import logging
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from weft_agent_runner.domain.entry import Entry
from weft_agent_runner.domain.run import ClaimedRun
from weft_agent_runner.transcript_lines import Line, claimed_lines, entry_lines

_LOG = logging.getLogger(__name__)

INTERVAL_SECONDS = 0.5
MAX_WAITING_BYTES = 64 * 1024 * 1024


class Transcripts(Protocol):
    """Never blocks, never raises."""

    def claimed(self, run: ClaimedRun) -> None: ...

    def written(self, entry: Entry) -> None:
        """Take what was committed."""


class NoTranscripts:
    """Where nobody asks for them."""

    def claimed(self, run: ClaimedRun) -> None:
        pass

    def written(self, entry: Entry) -> None:
        pass


class TranscriptLog:
    def __init__(
        self,
        folder: Path,
        *,
        interval_seconds: float = INTERVAL_SECONDS,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
    ) -> None:
        self._folder, self._interval_seconds, self._max_waiting_bytes = folder, interval_seconds, max_waiting_bytes
        self._lock = threading.Lock()
        self._waiting: dict[str, list[str]] = {}
        self._waiting_bytes = self._left_out = 0
        self._is_due, self._is_closing = threading.Event(), threading.Event()
        self._is_failing = False
        self.writes = 0  # to files, so far
        self._thread = threading.Thread(target=self._run, name="transcripts", daemon=True)
        self._thread.start()

    def claimed(self, run: ClaimedRun) -> None:
        self._take(run.key.run_id, claimed_lines(run))

    def written(self, entry: Entry) -> None:
        self._take(entry.key.run_id, entry_lines(entry))

    async def close(self) -> None:
        """Write what waits, and end."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._is_closing.set()
        self._is_due.set()
        self._thread.join()

    def _take(self, run_id: str, lines: Iterable[Line]) -> None:
        try:
            texts = [json.dumps(line, ensure_ascii=True, default=str) + "\n" for line in lines]
        except (TypeError, ValueError):
            _LOG.exception("run %s: no transcript of this", run_id)
            return
        if not texts:
            return
        size = sum(map(len, texts))
        with self._lock:
            if self._waiting_bytes + size > self._max_waiting_bytes:
                self._left_out += len(texts)
                return
            self._waiting.setdefault(run_id, []).extend(texts)
            self._waiting_bytes += size
        self._is_due.set()

    def _run(self) -> None:
        while True:
            self._is_due.wait()
            self._is_closing.wait(self._interval_seconds)  # what comes meanwhile goes along
            self._is_due.clear()
            is_last = self._is_closing.is_set()
            self._write_all()
            if is_last:
                return

    def _write_all(self) -> None:
        with self._lock:
            waiting, self._waiting, self._waiting_bytes = self._waiting, {}, 0
            left_out, self._left_out = self._left_out, 0
        if left_out:
            _LOG.warning("transcripts: %d lines came too fast and are left out", left_out)
        for run_id, texts in waiting.items():
            self._write(run_id, "".join(texts))

    def _write(self, run_id: str, text: str) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = os.open(self._folder / f"{run_id}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with open(file, "w", encoding="ascii") as stream:
                stream.write(text)
            self.writes += 1
            self._is_failing = False
        except OSError as error:
            if not self._is_failing:  # said once, until it works again
                _LOG.warning("transcripts cannot be written, and are left out: %s", error)
            self._is_failing = True
