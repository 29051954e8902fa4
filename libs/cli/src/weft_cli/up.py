"""`weft up`: the whole stack in the foreground."""

import os
import queue
import signal
import threading
import time
from pathlib import Path

from weft_cli.console import Printer
from weft_cli.place import DEFAULT_FOLDER, FILE, Place
from weft_cli.stack import Stack, StackError
from weft_cli.stack.control import Event
from weft_cli.stack.development import Development, set_up_development
from weft_cli.stack.keys import write_private
from weft_cli.stack.model import RealModel, find_real_model

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Up:
    """The stack is opened by another thread, so that a signal can end it at any moment by closing it."""

    def __init__(self, printer: Printer, data_dir: Path, port_base: int, replicas: int) -> None:
        self._printer, self._folder = printer, data_dir
        self._inbox: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._began = time.monotonic()
        self._stops = 0
        self._model = find_real_model(os.environ)
        self._stack = Stack(
            data_dir,
            port_base=port_base,
            replicas=replicas,
            model=self._model,
            restarts=True,
            on_progress=self._progress,
            on_event=self._inbox.put,
        )

    def run(self) -> int:
        """Return the exit code."""
        for number in STOPS:
            signal.signal(number, self._on_signal)
        opening = threading.Thread(target=self._open, name="weft-up-open", daemon=True)
        opening.start()
        try:
            return self._follow()
        finally:
            self._printer.line("stopping …", "dim")
            self._stack.close()
            opening.join()
            self._printer.line("weft is down")

    def _open(self) -> None:
        try:
            self._stack.open()
            development = set_up_development(self._stack)
        except Exception as fault:  # the main thread shows it
            self._inbox.put({"event": "failed", "fault": fault})
        else:
            self._inbox.put({"event": "up", "development": development})

    def _follow(self) -> int:
        with self._printer.working("starting"):
            event = self._inbox.get()
        while True:
            match event["event"]:
                case "up":
                    self._tell(event["development"])
                case "stop":
                    return 0
                case "crashed" if (code := self._crashed(event)) is not None:
                    return code
                case "restarted":
                    self._printer.line(f"{event['name']} was started again (process {event['pid']})", "yellow")
                case "failed":
                    return self._failed(event["fault"])
                case "gone":
                    return self._failed(StackError("the supervisor of the stack ended; everything stops with it"))
            event = self._inbox.get()

    def _crashed(self, event: Event) -> int | None:
        name, delay = event["name"], event["restart_seconds"]
        how = _how_it_ended(event["code"])
        if delay is not None:
            self._printer.line(
                f"{name} {how}; starting it again in {delay:.1f} s; log: {self._stack.log(name)}", "yellow"
            )
            return None
        if not self._stack.is_open:
            return None  # it has not been up yet: whoever waits for it tells more
        return self._failed(StackError(f"{name} {how} once too often; log: {self._stack.log(name)}"))

    def _failed(self, fault: Exception) -> int:
        if not isinstance(fault, StackError):
            raise fault
        self._printer.error(f"error: {fault}")
        return 1

    def _tell(self, development: Development) -> None:
        place = _place(self._stack, development)
        write_private(self._stack.data_dir / FILE, place.to_json())
        self._printer.table(("member", "address", "log"), _rows(self._stack))
        self._printer.line(_model_line(self._model))
        self._printer.line(f"key of tenant {place.tenant_id}: {place.api_key}")
        self._printer.line(
            f"addresses and key are in {self._stack.data_dir / FILE}; try: {_first_command(self._folder)}"
        )
        self._printer.line("weft is up", "bold green")

    def _progress(self, member: str, what: str) -> None:
        if what != "starting":
            self._printer.line(f"{member:<14} {what}  {time.monotonic() - self._began:5.1f} s", "dim")

    def _on_signal(self, *_: object) -> None:
        self._stops += 1
        self._inbox.put({"event": "stop"})
        if self._stops > 1:
            self._stack.hurry()


def _first_command(folder: Path) -> str:
    where = "" if folder == DEFAULT_FOLDER else f" --data-dir {folder}"
    return f'weft chat{where} "Hello"'


def _place(stack: Stack, development: Development) -> Place:
    addresses = {name: stack.address(name) for name in [*stack.names, "envoy-admin"]}
    return Place(stack.address("gateway"), development.api_key, development.tenant_id, addresses)


def _rows(stack: Stack) -> list[tuple[str, str, str]]:
    return [(name, stack.address(name), str(stack.log(name))) for name in [*stack.names]]


def _model_line(model: RealModel | None) -> str:
    if model is None:
        return "model: the scripted one, offline, because OPENAI_API_KEY is not set (docs/scripted-model.md)"
    return f"model: {model.name or 'the default one'} at {model.base_url or 'the OpenAI API'}"


def _how_it_ended(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
