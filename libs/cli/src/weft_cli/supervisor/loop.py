"""The supervisor's loop: commands as lines of JSON in, answers and events out, children in between."""

import heapq
import json
import os
import select
import signal
import time
from collections.abc import Callable
from typing import Any

from weft_cli.supervisor import child as children_
from weft_cli.supervisor.child import Child
from weft_cli.supervisor.restarts import Restarts
from weft_cli.supervisor.spec import Spec

PARENT_CHECK_SECONDS = 1.0


class Supervisor:
    """Owns the children. Ends, all children first, when told to, on SIGTERM, or when its parent is gone."""

    def __init__(self, commands: int, answers: int, on_closing: Callable[[], None]) -> None:
        self._commands, self._answers = commands, answers
        self._on_closing = on_closing
        self._parent = os.getppid()
        self._children: dict[str, Child] = {}
        self._restarts = Restarts()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._timer_number = 0
        self._input = b""
        self._is_closing = False
        self._wake = _wake_pipe(self.close, self.hurry)

    def run(self) -> None:
        watched = [self._commands, self._wake]
        while not self._is_closing or self._children:
            readable, _, _ = select.select(watched, [], [], self._seconds_to_next_timer())
            if self._wake in readable:
                os.read(self._wake, 4096)
            if self._commands in readable and not self._read_commands():
                watched.remove(self._commands)
            if os.getppid() != self._parent:
                self.close()
            self._reap()
            self._run_timers()

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._restarts.is_on = False
            self._on_closing()
            self._stop_next_tier()

    def hurry(self) -> None:
        for child in self._children.values():
            child.send(child.spec.death_signal)

    def _read_commands(self) -> bool:
        data = os.read(self._commands, 65536)
        if not data:
            self.close()
            return False
        *lines, self._input = (self._input + data).split(b"\n")
        for line in lines:
            self._do(json.loads(line))
        return True

    def _do(self, command: dict[str, Any]) -> None:
        ticket = command["id"]
        try:
            getattr(self, f"_do_{command['do']}")(ticket, command)
        except (OSError, ValueError, KeyError) as fault:
            self._answer(id=ticket, error=f"{type(fault).__name__}: {fault}")

    def _do_start(self, ticket: int, command: dict[str, Any]) -> None:
        if self._is_closing:
            raise ValueError("the stack is stopping")
        spec = Spec.from_json(command["spec"])
        if spec.name in self._children:
            raise ValueError(f"{spec.name} is running already")
        child = self._children[spec.name] = children_.start(spec, command.get("input"))
        if command.get("to_its_end"):
            child.is_wanted = False
            child.tickets.append(ticket)
        else:
            self._answer(id=ticket, pid=child.process.pid)

    def _do_stop(self, ticket: int, command: dict[str, Any]) -> None:
        self._end(ticket, command["name"], self._stop)

    def _do_kill(self, ticket: int, command: dict[str, Any]) -> None:
        self._end(ticket, command["name"], lambda child: child.send(signal.SIGKILL))

    def _do_signal(self, ticket: int, command: dict[str, Any]) -> None:
        self._children[command["name"]].send(command["signal"])
        self._answer(id=ticket)

    def _do_restarts(self, ticket: int, command: dict[str, Any]) -> None:
        self._restarts.is_on = command["on"]
        self._answer(id=ticket)

    def _end(self, ticket: int, name: str, how: Callable[[Child], None]) -> None:
        self._restarts.forget(name)
        child = self._children.get(name)
        if child is None:
            self._answer(id=ticket, code=None)
            return
        child.is_wanted = False
        child.tickets.append(ticket)
        how(child)

    def _stop(self, child: Child) -> None:
        child.ask_to_stop()
        self._after(child.spec.stop_seconds, lambda: child.send(signal.SIGKILL))

    def _stop_next_tier(self) -> None:
        running = self._children.values()
        top = max((child.spec.tier for child in running), default=0)
        for child in running:
            if child.spec.tier == top:
                self._stop(child)

    def _reap(self) -> None:
        """Look before taking: a status taken here would be lost to the Popen that waits for it."""
        by_pid = {child.process.pid: child for child in self._children.values()}
        while (pid := _find_ended_process()) is not None:
            ended = by_pid.pop(pid, None)
            if ended is None:
                os.waitpid(pid, 0)
            else:
                self._ended(ended, ended.process.wait())

    def _ended(self, child: Child, code: int) -> None:
        name = child.spec.name
        del self._children[name]
        child.sweep()
        for ticket in child.tickets:
            self._answer(id=ticket, code=code)
        if self._is_closing:
            self._answer(event="stopped", name=name)
            if all(other.is_wanted for other in self._children.values()):
                self._stop_next_tier()
        elif child.is_wanted:
            self._crashed(child, code)

    def _crashed(self, child: Child, code: int) -> None:
        name = child.spec.name
        delay = self._restarts.delay_after(name, time.monotonic() - child.started)
        self._answer(event="crashed", name=name, code=code, restart_seconds=delay)
        if delay is not None:
            generation = self._restarts.schedule(name)
            self._after(delay, lambda: self._restart(child.spec, generation))

    def _restart(self, spec: Spec, generation: int) -> None:
        if self._is_closing or spec.name in self._children or not self._restarts.is_due(spec.name, generation):
            return
        child = self._children[spec.name] = children_.start(spec)
        self._answer(event="restarted", name=spec.name, pid=child.process.pid)

    def _answer(self, **message: Any) -> None:
        try:
            os.write(self._answers, json.dumps(message).encode() + b"\n")
        except BrokenPipeError:
            pass  # nobody listens any more: the end of the commands is on its way

    def _after(self, seconds: float, action: Callable[[], None]) -> None:
        self._timer_number += 1
        heapq.heappush(self._timers, (time.monotonic() + seconds, self._timer_number, action))

    def _seconds_to_next_timer(self) -> float:
        if not self._timers:
            return PARENT_CHECK_SECONDS
        return min(PARENT_CHECK_SECONDS, max(0.0, self._timers[0][0] - time.monotonic()))

    def _run_timers(self) -> None:
        while self._timers and self._timers[0][0] <= time.monotonic():
            heapq.heappop(self._timers)[2]()


def _find_ended_process() -> int | None:
    try:
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return None if ended is None else ended.si_pid


def _wake_pipe(close: Callable[[], None], hurry: Callable[[], None]) -> int:
    """Signals end the select. Handlers in Python are reset by exec, so that children start with the defaults."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: close())
    signal.signal(signal.SIGUSR1, lambda *_: hurry())
    return read_end
