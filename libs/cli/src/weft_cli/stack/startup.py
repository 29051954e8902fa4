"""From a folder to a running stack: the folder, the plan, the cluster, then the members in order of need."""

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from weft_cli.stack import members, postgres
from weft_cli.stack.errors import StackError
from weft_cli.stack.fleet import Fleet

LONGEST_LOG_BYTES = 20 * 1024 * 1024

Progress = Callable[[str, str], None]


def prepare_folder(wanted: Path | None) -> Path:
    """Make the folder, private but for the way through it that PostgreSQL's own user needs when we are root.

    Raises: StackError: it is none, or not ours to write in.
    """
    try:
        return _prepared(wanted)
    except OSError as error:
        raise StackError(f"the folder {wanted or tempfile.gettempdir()} cannot be used: {error}") from error


def _prepared(wanted: Path | None) -> Path:
    mode = 0o711 if os.geteuid() == 0 else 0o700
    if wanted is None:
        folder = Path(tempfile.mkdtemp(prefix="weft-")).resolve()
    else:
        folder = wanted.absolute().resolve()
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
    folder.chmod(mode)
    logs = folder / "logs"
    logs.mkdir(mode=0o700, exist_ok=True)
    for log in logs.glob("*.log"):
        if log.stat().st_size > LONGEST_LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
    return folder


def start_all(fleet: Fleet, *, is_durable: bool, on_progress: Progress) -> None:
    """Data first, then the migrations, then all services at once."""
    names = list(fleet.plan.names)
    stores = [name for name in names if members.TIERS[members.kind_of(name)] == 0]
    if "postgres" in stores:
        prepare_cluster(fleet, is_durable=is_durable, on_progress=on_progress)
    _start(fleet, stores, on_progress)
    if "postgres" in stores:
        set_up_roles(fleet)
    if "threads" in names:
        on_progress("migrations", "starting")
        migrate(fleet)
        on_progress("migrations", "ready")
    _start(fleet, [name for name in names if name not in stores], on_progress)


def prepare_cluster(fleet: Fleet, *, is_durable: bool, on_progress: Progress) -> None:
    """Create the cluster once, under another name until it is whole; or take over what a killed server left."""
    plan = fleet.plan
    if (plan.data / "PG_VERSION").exists():
        postgres.take_over(plan.data)
        return
    assert plan.programs is not None
    on_progress("postgres", "creating its cluster")
    partial = plan.data.with_name(f"{plan.data.name}.new")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    if plan.user is not None:
        os.chown(partial, plan.user.uid, plan.user.gid)
    command = postgres.initdb_command(plan.programs, partial, is_durable=is_durable)
    spec = members.task_spec(plan, "initdb", command, {}, as_postgres=True)
    fleet.run(spec, "initdb", plan.keys.postgres + "\n")
    partial.rename(plan.data)


def set_up_roles(fleet: Fleet) -> None:
    plan = fleet.plan
    assert plan.programs is not None
    command = postgres.psql_command(plan.programs, plan.ports["postgres"])
    spec = members.task_spec(plan, "roles", command, postgres.setup_env(plan.keys))
    fleet.run(spec, "setting up the roles", postgres.setup_sql())


def migrate(fleet: Fleet, env: Mapping[str, str] | None = None) -> None:
    """Raises: MemberFailedError: the migrations failed."""
    plan = fleet.plan
    variables = {"WEFT_OWNER_DATABASE_URL": plan.database_url("weft_owner"), **(env or {})}
    spec = members.python_spec(plan, "migrate", ("-m", "weft_threads.migrate"), variables, members.TASK_TIER)
    fleet.run(spec, "the migrations")


def _start(fleet: Fleet, names: list[str], on_progress: Progress) -> None:
    for name in names:
        on_progress(name, "starting")
        fleet.launch(name)
    for name in names:
        fleet.wait_ready(name)
        on_progress(name, "ready")
