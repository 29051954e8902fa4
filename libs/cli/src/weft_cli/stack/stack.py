"""A whole Weft on this machine: real PostgreSQL, Redis and Envoy out of wheels, and the services as processes."""

import asyncio
import socket
import threading
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Self

from weft_cli.stack import members, ports, postgres, startup
from weft_cli.stack.control import Control, Event
from weft_cli.stack.errors import StackError
from weft_cli.stack.fleet import READY_SECONDS, Fleet
from weft_cli.stack.keys import load_keys
from weft_cli.stack.members import Plan
from weft_cli.stack.model import RealModel

Env = Mapping[str, Mapping[str, str]]


class Stack:
    """Members by name: postgres, redis, model, threads, tools, agent-runner, gateway, envoy; replicas as `threads-2`.

        with Stack(members={"postgres", "redis"}) as stack:
            connect(stack.database_url("weft_app"))
            stack.kill("redis")
            stack.start("redis")

    Without `data_dir` a temporary folder is used and removed; without `port_base` a free one is chosen. `env` adds
    variables to services: by name of a member, of a kind (`agent-runner` for all its replicas), or `*`. Methods block:
    call them from a coroutine through `asyncio.to_thread`; `async with` does so itself. A member that dies stays dead
    unless `restarts`.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        *,
        port_base: int | None = None,
        members: Collection[str] = members.KINDS,
        replicas: int = 1,
        model: RealModel | None = None,
        env: Env | None = None,
        postgres_settings: Mapping[str, str] | None = None,
        restarts: bool = False,
        on_progress: startup.Progress = lambda _member, _what: None,
        on_event: Callable[[Event], None] = lambda _event: None,
    ) -> None:
        self._wanted_dir, self._wanted_base = data_dir, port_base
        self._kinds = set(members) - ({"model"} if model else set())
        self._replicas, self._model = replicas, model
        self._env, self._postgres_settings = dict(env or {}), dict(postgres_settings or {})
        self._restarts, self._on_progress, self._on_event = restarts, on_progress, on_event
        self._claim: socket.socket | None = None
        self._folder: Path | None = None
        self._lock = threading.Lock()
        self._is_open = self._is_closed = False
        self._control: Control | None = None
        self._hurry: Callable[[], None] | None = None
        self._fleet_or_none: Fleet | None = None

    def open(self) -> None:
        """Start everything and wait until it is ready; once per Stack.

        Raises: StackError: it could not; nothing is left running then.
        """
        try:
            folder = self._folder = startup.prepare_folder(self._wanted_dir)
            control = self._take(Control(folder))  # before anything in the folder is read or made: it holds the lock
            plan = self._make_plan(folder)
            ports.require_free(_ports_to_take(plan))
            self._fleet_or_none = Fleet(plan, control, self._on_event)
            is_durable = self._wanted_dir is not None
            startup.start_all(self._fleet, is_durable=is_durable, on_progress=self._on_progress)
            if self._restarts:
                self._fleet.allow_restarts()
            self._is_open = True
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop everything in order; delete a temporary folder. From another thread it also ends an `open`."""
        with self._lock:
            self._is_closed = True
            control, self._control = self._control, None
        if control is not None:
            control.close()
        if self._claim is not None:
            self._claim.close()
            self._claim = None
        if self._wanted_dir is None and self._folder is not None:
            postgres.remove_data(self._folder)
            self._folder = None

    def hurry(self) -> None:
        """Make a close that is under way kill what it waits for. May be called from a signal handler."""
        if self._hurry is not None:
            self._hurry()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        opening = asyncio.create_task(asyncio.to_thread(self.open))
        try:
            await asyncio.shield(opening)
        except asyncio.CancelledError:
            await asyncio.to_thread(self.close)  # ends the opening too, which as a thread cannot be cancelled
            await asyncio.gather(opening, return_exceptions=True)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.close)

    def start(self, name: str, env: Mapping[str, str] | None = None) -> None:
        """Start a member that does not run, and wait until it is ready. `env` comes on top of the stack's."""
        if name == "postgres":
            postgres.take_over(self._plan.data)
        self._fleet.launch(name, env)
        self._fleet.wait_ready(name)

    def stop(self, name: str) -> None:
        """Ask a member to stop and wait for its end; it is killed after 10 s."""
        self._fleet.stop(name)

    def kill(self, name: str) -> None:
        """SIGKILL a member and wait for its end. It stays dead until it is started."""
        self._fleet.kill(name)

    def restart(self, name: str, env: Mapping[str, str] | None = None) -> None:
        self.stop(name)
        self.start(name, env)

    def signal(self, name: str, number: int) -> None:
        """Send any signal, as SIGSTOP and SIGCONT."""
        self._fleet.signal(name, number)

    def wait_ready(self, name: str, seconds: float = READY_SECONDS) -> None:
        """Raises: MemberFailedError: it ended, or is not ready in time."""
        self._fleet.wait_ready(name, seconds)

    def migrate(self, env: Mapping[str, str] | None = None) -> None:
        """Run the migrations again. Raises: MemberFailedError: they failed."""
        startup.migrate(self._fleet, env)

    def pid(self, name: str) -> int:
        """Raises: StackError: it does not run."""
        return self._fleet.pid(name)

    @property
    def supervisor_pid(self) -> int:
        return self._fleet.supervisor_pid

    def is_ready(self, name: str) -> bool:
        return self._fleet.is_ready(name)

    def log(self, name: str) -> Path:
        return self._plan.log(name)

    @property
    def is_open(self) -> bool:
        """Everything was ready, and nobody has closed it."""
        return self._is_open and not self._is_closed

    @property
    def data_dir(self) -> Path:
        return self._plan.folder

    @property
    def names(self) -> list[str]:
        return list(self._plan.names)

    @property
    def ports(self) -> Mapping[str, int]:
        """By name; those of members that this stack does not start are the caller's to use."""
        return self._plan.ports

    @property
    def token_key(self) -> str:
        return self._plan.keys.token_key

    @property
    def operator_key(self) -> str:
        return self._plan.keys.operator_key

    @property
    def redis_url(self) -> str:
        return self._plan.redis_url

    @property
    def model_url(self) -> str:
        """Of the scripted model, as OPENAI_BASE_URL has it."""
        return self._plan.model_url

    def address(self, name: str) -> str:
        return self._plan.address(name)

    def database_url(self, role: str) -> str:
        """Of postgres (the superuser), weft_owner, weft_app or weft_queue."""
        return self._plan.database_url(role)

    def service_env(self, name: str) -> Mapping[str, str]:
        """The environment that a service is started with, to run one in the caller's own process."""
        return members.spec_of(self._plan, name, {}).env

    @property
    def _fleet(self) -> Fleet:
        if self._fleet_or_none is None:
            raise StackError("the stack is not open")
        return self._fleet_or_none

    @property
    def _plan(self) -> Plan:
        return self._fleet.plan

    def _take(self, control: Control) -> Control:
        with self._lock:
            if not self._is_closed:
                self._control, self._hurry = control, control.hurry
                return control
        control.close()
        raise StackError("the stack was closed while it started")

    def _make_plan(self, folder: Path) -> Plan:
        names = members.names_of(self._kinds, self._replicas)
        base = self._wanted_base
        if base is None:
            base, self._claim = ports.reserve_base()
        all_ports = ports.ports(base, self._replicas)
        user = postgres.unprivileged()
        has_postgres = "postgres" in names
        return Plan(
            folder=folder,
            ports=all_ports,
            names=names,
            keys=load_keys(folder),
            model=self._model,
            env=self._env,
            postgres_settings=self._postgres_settings,
            programs=postgres.find_programs(user) if has_postgres else None,
            data=postgres.data_folder(folder, user) if has_postgres else folder / "postgres",
            user=user,
        )


def _ports_to_take(plan: Plan) -> dict[str, int]:
    taken = {name: plan.ports[name] for name in plan.names}
    return taken | ({"envoy-admin": plan.ports["envoy-admin"]} if "envoy" in taken else {})
