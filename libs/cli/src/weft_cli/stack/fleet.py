"""The running members of a stack, one by one."""

import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from weft_cli.stack import members, probes
from weft_cli.stack.control import Control, Event
from weft_cli.stack.errors import MemberFailedError, StackError
from weft_cli.stack.members import Plan, kind_of
from weft_cli.supervisor.spec import Spec

READY_SECONDS = 120.0
POLL_SECONDS = 0.03
LOG_TAIL_LINES = 20


class Fleet:
    """Starts, stops, kills and watches members. Methods block; they may be called from any thread."""

    def __init__(self, plan: Plan, control: Control, on_event: Callable[[Event], None]) -> None:
        self.plan = plan
        self._control = control
        self._on_event = on_event
        self._pids: dict[str, int] = {}
        self._crashed: dict[str, int] = {}
        control.listen(self._take)

    @property
    def supervisor_pid(self) -> int:
        return self._control.pid

    def launch(self, name: str, env: Mapping[str, str] | None = None) -> None:
        """Start a member without waiting for it."""
        self._crashed.pop(self._known(name), None)
        self._pids[name] = self._control.start(members.spec_of(self.plan, name, env or {}))

    def stop(self, name: str) -> None:
        self._control.call("stop", name=self._known(name))
        self._pids.pop(name, None)

    def kill(self, name: str) -> None:
        self._control.call("kill", name=self._known(name))
        self._pids.pop(name, None)

    def signal(self, name: str, number: int) -> None:
        self._control.call("signal", name=self._known(name), signal=int(number))

    def allow_restarts(self) -> None:
        self._control.call("restarts", on=True)

    def pid(self, name: str) -> int:
        """Raises: StackError: it does not run."""
        if self._known(name) not in self._pids:
            raise StackError(f"{name} is not running")
        return self._pids[name]

    def run(self, spec: Spec, what: str, text: str | None = None) -> None:
        """Run a program to its end. Raises: MemberFailedError: it failed."""
        code = self._control.run(spec, text)
        if code != 0:
            raise self._failure(what, f"ended with code {code}", Path(spec.log))

    def wait_ready(self, name: str, seconds: float = READY_SECONDS) -> None:
        """Raises: MemberFailedError: it ended, or is not ready in time."""
        until = time.monotonic() + seconds
        while not self.is_ready(name):
            if name in self._crashed:
                raise self._failure(name, f"ended with code {self._crashed[name]} while starting", self.plan.log(name))
            if self._control.is_closed:
                raise StackError("the stack has stopped")
            if time.monotonic() > until:
                raise self._failure(name, f"was not ready within {seconds:.0f} s", self.plan.log(name))
            time.sleep(POLL_SECONDS)

    def is_ready(self, name: str) -> bool:
        port = self.plan.ports[self._known(name)]
        match kind_of(name):
            case "postgres":
                return probes.is_postgres_ready(port)
            case "redis":
                return probes.is_redis_ready(port)
            case "model":
                return probes.is_listening(port)
            case "envoy":
                gateways = sum(kind_of(other) == "gateway" for other in self.plan.names)
                return probes.is_envoy_ready(self.plan.ports["envoy-admin"], gateways)
            case _:
                return probes.is_grpc_serving(port)

    def _known(self, name: str) -> str:
        if name not in self.plan.names:
            raise StackError(f"this stack has no {name}; it has {', '.join(self.plan.names)}")
        return name

    def _take(self, event: Event) -> None:
        name = event.get("name", "")
        if event["event"] == "crashed":
            self._crashed[name] = event["code"]
            self._pids.pop(name, None)
        elif event["event"] == "restarted":
            self._crashed.pop(name, None)
            self._pids[name] = event["pid"]
        self._on_event(event)

    def _failure(self, name: str, what: str, log: Path) -> MemberFailedError:
        lines: deque[str] = deque(maxlen=LOG_TAIL_LINES)
        if log.exists():
            with log.open(errors="replace") as file:
                lines.extend(file)
        return MemberFailedError(name, what, str(log), "".join(lines))
