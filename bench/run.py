"""Measure what docs/performance.md states: every figure against its baseline, in turn, on the same machine.

Only ratios mean anything on a shared machine. Ends with 1 when a floor is broken.
"""

import argparse
import asyncio
import os
import sys
from pathlib import Path

import blocking
import burst
import cancel
import first_token
import growth
import hundred
import initiate
import tool_run
import tool_state
import watchers
from figures import Figure, figure_table
from processes import Cost, cost_table
from world import CLIENT, MEMBERS, open_world

FIGURES = {
    "initiate": initiate.measure,
    "first_token": first_token.measure,
    "burst": burst.measure,
    "hundred": hundred.measure,
    "tool_run": tool_run.measure,
    "cancel": cancel.measure,
    "blocking": blocking.measure,
    "watchers": watchers.measure,
    "growth": growth.measure,
    "tool_state": tool_state.measure,
}
FOLDER = Path(__file__).resolve().parents[1] / ".cache" / "bench"


async def measure(names: list[str], rounds: int) -> tuple[list[Figure], list[Cost]]:
    figures: list[Figure] = []
    async with open_world(FOLDER) as world:
        for name in names:
            print(f"measuring {name}, up to {rounds} rounds; load {_load()}", flush=True)
            figures += await FIGURES[name](world, rounds)
        return figures, world.costs


def _load() -> str:
    return " ".join(f"{value:.1f}" for value in os.getloadavg()) + f" on {os.cpu_count()} cores"


def _newest(costs: list[Cost]) -> list[Cost]:
    """Of what was measured round by round, the last."""
    return list({cost.name: cost for cost in costs}.values())


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench/run.py", description=__doc__)
    parser.add_argument(
        "figures", nargs="*", metavar="FIGURE", help=f"of {', '.join(FIGURES)}; all, when none is named"
    )
    parser.add_argument("--rounds", type=int, default=5, help="at most; what takes long has fewer")
    options = parser.parse_args()
    if unknown := set(options.figures) - set(FIGURES):
        parser.error(f"no such figure: {', '.join(sorted(unknown))}; there are {', '.join(FIGURES)}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    figures, costs = asyncio.run(measure(options.figures or list(FIGURES), options.rounds))
    print(f"\n{figure_table(figures)}\n")
    if costs:
        print(f"{cost_table(_newest(costs), [*MEMBERS, CLIENT])}\n")
    print(f"load at the end: {_load()}")
    broken = [figure.name.strip() for figure in figures if figure.is_broken]
    if broken:
        print(f"beyond the floor: {', '.join(broken)}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
