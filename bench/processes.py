"""What processes cost: CPU time, with that of their children, and memory."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from figures import number, table

_TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


def cpu_seconds(pid: int) -> float:
    """CPU time of a process, its living children (PostgreSQL has one for each connection) and those it has buried."""
    return sum(_ticks(each) for each in _family(pid)) * _TICK_SECONDS


def memory_mib(pid: int) -> float:
    """Resident memory of the process itself."""
    for line in (_PROC / str(pid) / "status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _family(pid: int) -> Iterator[int]:
    yield pid
    yield from map(int, (_PROC / str(pid) / "task" / str(pid) / "children").read_text().split())


def _ticks(pid: int) -> int:
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0
    return sum(map(int, fields[11:15]))  # utime, stime, and both of children that have ended


@dataclass(slots=True)
class Cost:
    """What work cost: CPU seconds by process, over `runs` runs, and what memory each process held after it."""

    name: str
    runs: int
    cpu: Mapping[str, float]
    memory: Mapping[str, float] = field(default_factory=dict)

    @property
    def cpu_total(self) -> float:
        return sum(self.cpu.values())


def cost_table(costs: Sequence[Cost], names: Sequence[str]) -> str:
    """CPU milliseconds a run, and MiB after it."""
    heads = ("CPU ms a run; memory MiB", "runs", *names, "sum")
    rows = []
    for cost in costs:
        each = [_cell(cost.cpu[name] / cost.runs * 1e3) if name in cost.cpu else "" for name in names]
        rows.append((cost.name, str(cost.runs), *each, _cell(cost.cpu_total / cost.runs * 1e3)))
        if cost.memory:
            held = [f"{cost.memory[name]:.0f}" if name in cost.memory else "" for name in names]
            rows.append(("  memory", "", *held, ""))
    return table(heads, rows)


def _cell(value: float) -> str:
    return number(value) if value >= 100 else f"{value:.1f}"
