"""The client's side of the supervisor: commands with answers, and what happens unasked."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from weft_cli.stack.errors import StackError
from weft_cli.supervisor.spec import Spec

START_SECONDS = 60.0  # another stack of this folder may still be stopping
ANSWER_SECONDS = 120.0
CLOSE_SECONDS = 90.0

Event = dict[str, Any]


class Control:
    """A running supervisor, which holds the folder's lock.

    It stops everything when this process is gone, because its standard input ends then. Starting it is safe in a
    process with threads and grpc: without `preexec_fn`, subprocess runs no Python after the fork.
    """

    def __init__(self, folder: Path) -> None:
        self._on_event: Callable[[Event], None] = lambda _event: None
        self._lock = threading.Lock()
        self._pending: dict[int, Future[Event]] = {}
        self._number = 0
        self.is_closed = False
        self._locked: Future[Event] = Future()
        with (folder / "logs" / "supervisor.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "weft_cli.supervisor", str(folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # keeps the terminal's Ctrl-C to the client
            )
        self._reader = threading.Thread(target=self._read, name="weft-stack-answers", daemon=True)
        self._reader.start()
        self._require_lock(folder)

    def listen(self, on_event: Callable[[Event], None]) -> None:
        """Hear of crashes and restarts, and of the supervisor's own sudden end, on another thread."""
        self._on_event = on_event

    @property
    def pid(self) -> int:
        return self._process.pid

    def call(self, do: str, *, seconds: float = ANSWER_SECONDS, **arguments: Any) -> Event:
        """Return the answer. Raises: StackError: the supervisor refused, or is gone."""
        future = self._send(do, arguments)
        try:
            answer = future.result(seconds)
        except TimeoutError:
            raise StackError(f"the supervisor did not answer {do} within {seconds:.0f} s") from None
        if "error" in answer:
            raise StackError(str(answer["error"]))
        return answer

    def start(self, spec: Spec) -> int:
        return int(self.call("start", spec=spec.to_json())["pid"])

    def run(self, spec: Spec, text: str | None = None, *, seconds: float = ANSWER_SECONDS) -> int:
        """Run a program to its end and return its exit code."""
        return int(self.call("start", spec=spec.to_json(), input=text, to_its_end=True, seconds=seconds)["code"])

    def hurry(self) -> None:
        """Kill all members now: a close that is under way, which has ended the commands, stops waiting for them."""
        try:
            os.kill(self._process.pid, signal.SIGUSR1)
        except ProcessLookupError:
            pass

    def close(self) -> None:
        """Stop all members in order, then the supervisor."""
        assert self._process.stdin is not None
        with self._lock:
            self.is_closed = True
            self._process.stdin.close()
        try:
            self._process.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()  # its children are told by the kernel
            self._process.wait()
        self._reader.join()

    def _send(self, do: str, arguments: dict[str, Any]) -> "Future[Event]":
        assert self._process.stdin is not None
        future: Future[Event] = Future()
        with self._lock:
            self._number += 1
            line = json.dumps({"id": self._number, "do": do, **arguments}).encode() + b"\n"
            self._pending[self._number] = future
            try:
                self._process.stdin.write(line)
                self._process.stdin.flush()
            except (BrokenPipeError, ValueError):
                del self._pending[self._number]
                raise StackError("the stack has stopped") from None
        return future

    def _require_lock(self, folder: Path) -> None:
        try:
            holder = self._locked.result(START_SECONDS).get("holder")
        except (TimeoutError, StackError):
            self.close()
            raise StackError(f"the supervisor did not start; see {folder / 'logs' / 'supervisor.log'}") from None
        if holder is not None:
            self.close()
            raise StackError(f"{folder} is in use by {holder}: one stack per data folder")

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as answers:
            for line in answers:
                self._take(json.loads(line))
        with self._lock:
            waiting = [*self._pending.values(), self._locked]
            self._pending.clear()
            was_closed, self.is_closed = self.is_closed, True
        for future in waiting:
            if not future.done():
                future.set_exception(StackError("the stack has stopped"))
        if not was_closed:
            self._on_event({"event": "gone"})

    def _take(self, message: Event) -> None:
        if message.get("event") == "locked":
            self._locked.set_result(message)
        elif "event" in message:
            self._on_event(message)
        else:
            with self._lock:
                future = self._pending.pop(message["id"], None)
            if future is not None:
                future.set_result(message)
