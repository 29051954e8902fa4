"""Which port belongs to whom, and whether it is free."""

import random
import socket
from collections.abc import Mapping
from pathlib import Path

from weft_cli.stack.errors import PortTakenError, StackError

HOST = "127.0.0.1"
DEFAULT_BASE = 7400
MOST_REPLICAS = 10
SERVICES = ("gateway", "threads", "agent-runner", "tools")
SINGLE = {"envoy": 10, "envoy-admin": 11, "postgres": 32, "redis": 79, "model": 99}
REPLICAS_OFFSET = 40
METRICS_OFFSET = 1000  # from a service's port to where Prometheus scrapes it, where that is wanted
# Below the range that Linux hands to outgoing connections: no connection takes a port that was free a moment ago. Every
# other thousand only, so that no stack's metrics lie where another stack's services do.
FREE_BASES = tuple(base for base in range(20_000, 31_000, 100) if base // METRICS_OFFSET % 2 == 0)


def ports(base: int, replicas: int = 1) -> dict[str, int]:
    """Return the port of each member: `gateway`, `gateway-2`, …, `redis`; of Envoy's admin as `envoy-admin`."""
    if not 1 <= replicas <= MOST_REPLICAS:
        raise StackError(f"replicas must be 1 to {MOST_REPLICAS}, not {replicas}")
    if not 1024 <= base <= 65_436:
        raise StackError(f"the port base must be 1024 to 65436, not {base}")
    firsts = {name: base + index for index, name in enumerate(SERVICES)}
    others = {
        f"{name}-{number}": base + REPLICAS_OFFSET + len(SERVICES) * (number - 2) + index
        for number in range(2, replicas + 1)
        for index, name in enumerate(SERVICES)
    }
    return {**firsts, **others, **{name: base + offset for name, offset in SINGLE.items()}}


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def require_free(wanted: Mapping[str, int]) -> None:
    """Raises: PortTakenError: for the first port that something else listens on."""
    for member, port in wanted.items():
        if not is_free(port):
            raise PortTakenError(port, member, find_holder(port))


def reserve_base() -> tuple[int, socket.socket]:
    """Return a base whose hundred ports are free, and the socket that keeps others on this machine from choosing it."""
    for base in random.sample(FREE_BASES, len(FREE_BASES)):
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0weft-port-base-{base}")
        except OSError:
            claim.close()
            continue
        if all(is_free(port) for port in ports(base, MOST_REPLICAS).values()):
            return base, claim
        claim.close()
    raise StackError("no hundred free ports in a row")


def find_holder(port: int) -> str | None:
    """Return `process 12 (nginx)` if this user may see who listens there."""
    inodes = {line.split()[9] for line in _listeners() if int(line.split()[1].rpartition(":")[2], 16) == port}
    links = {f"socket:[{inode}]" for inode in inodes}
    for process in Path("/proc").glob("[0-9]*"):
        if links and _has_open(process, links):
            return f"process {process.name} ({_name_of(process)})"
    return None


def _listeners() -> list[str]:
    listening = "0A"
    tables = [Path("/proc/net/tcp"), Path("/proc/net/tcp6")]
    lines = [line for table in tables if table.exists() for line in table.read_text().splitlines()[1:]]
    return [line for line in lines if line.split()[3] == listening]


def _has_open(process: Path, links: set[str]) -> bool:
    try:
        return any(str(file.readlink()) in links for file in (process / "fd").iterdir())
    except OSError:
        return False


def _name_of(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return "gone"
