"""What the processes hold: memory, descriptors, connections, subscriptions, runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import redis.asyncio
from runs_world import superuser_url
from weft_cli.stack import Stack

SERVICES = ("gateway", "threads", "agent-runner", "tools")
MIB = 1024 * 1024
# What an allocator and caches may take over the whole time without it being a leak.
MAX_GROWTH, SLACK_BYTES = 1.10, 8 * MIB


def services(stack: Stack) -> list[str]:
    return [name for name in stack.names if name.startswith(SERVICES)]


def resident_bytes(stack: Stack) -> dict[str, int]:
    """Return the resident memory of each service."""
    return {name: _status(stack.pid(name), "VmRSS") * 1024 for name in services(stack)}


def _status(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1])
    raise LookupError(field)


def _descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


@dataclass(frozen=True)
class Holdings:
    """By service: descriptors and threads; by role: connections to PostgreSQL; channels of Redis that are followed."""

    descriptors: Mapping[str, int]
    threads: Mapping[str, int]
    database_connections: Mapping[str, int]
    channels: int
    redis_clients: int
    open_runs: int

    def surplus(self, before: "Holdings") -> list[str]:
        """Return what is held now beyond what was held before."""
        told = [
            f"{name}: {count} descriptors, {before.descriptors[name]} before"
            for name, count in self.descriptors.items()
            if count > before.descriptors[name] + _DESCRIPTOR_SLACK
        ]
        told += [
            f"{name}: {count} threads, {before.threads[name]} before"
            for name, count in self.threads.items()
            if count > before.threads[name] + _THREAD_SLACK
        ]
        for what in ("channels", "redis_clients", "open_runs"):
            now, then = getattr(self, what), getattr(before, what)
            if now > then:
                told.append(f"{what}: {now}, {then} before")
        return told


# Pools open connections when they are needed; gRPC and asyncio start threads when they are.
_DESCRIPTOR_SLACK, _THREAD_SLACK = 20, 8


async def holdings(stack: Stack) -> Holdings:
    pids = {name: stack.pid(name) for name in services(stack)}
    client = redis.asyncio.from_url(stack.redis_url)
    try:
        channels = await client.pubsub_channels("*run*")
        clients: Sequence[Any] = await client.client_list()
    finally:
        await client.aclose()
    connection = await asyncpg.connect(superuser_url(stack))
    try:
        rows = await connection.fetch(
            "SELECT usename, count(*) AS n FROM pg_stat_activity WHERE usename LIKE 'weft%' GROUP BY usename"
        )
        open_runs = await connection.fetchval("SELECT count(*) FROM runs WHERE end_time IS NULL")
    finally:
        await connection.close()
    return Holdings(
        descriptors={name: _descriptors(pid) for name, pid in pids.items()},
        threads={name: _status(pid, "Threads") for name, pid in pids.items()},
        database_connections={row["usename"]: row["n"] for row in rows},
        channels=len(channels),
        redis_clients=len(clients),
        open_runs=open_runs,
    )


def growth(samples: Sequence[Mapping[str, int]]) -> list[str]:
    """Return the services whose memory in the last tenth is above that of the first."""
    tenth = max(1, len(samples) // 10)
    told = []
    for name in samples[0]:
        first, last = (sum(s[name] for s in part) / len(part) for part in (samples[:tenth], samples[-tenth:]))
        if last > first * MAX_GROWTH + SLACK_BYTES:
            told.append(f"{name}: {first / MIB:.1f} MiB in the first tenth, {last / MIB:.1f} in the last")
    return told
