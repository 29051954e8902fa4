"""Measure what docs/performance.md states: every figure against its baseline, in turn, on the same machine.

Only ratios mean anything on a shared machine. Ends with 1 when a floor is broken.
"""

import argparse
import asyncio
import os
import sys
from pathlib import Path

import cancel
import first_token
import initiate
from figures import Figure, table
from world import open_world

FIGURES = {"initiate": initiate.measure, "first_token": first_token.measure, "cancel": cancel.measure}
FOLDER = Path(__file__).resolve().parents[1] / ".cache" / "bench"


async def measure(names: list[str], rounds: int) -> list[Figure]:
    figures: list[Figure] = []
    async with open_world(FOLDER) as world:
        for name in names:
            print(f"measuring {name}, {rounds} rounds; load {_load()}", flush=True)
            figures += await FIGURES[name](world, rounds)
    return figures


def _load() -> str:
    return " ".join(f"{value:.1f}" for value in os.getloadavg()) + f" on {os.cpu_count()} cores"


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench/run.py", description=__doc__)
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help="all, when none is named")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if unknown := set(options.figures) - set(FIGURES):
        parser.error(f"no such figure: {', '.join(sorted(unknown))}; there are {', '.join(FIGURES)}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    figures = asyncio.run(measure(options.figures or list(FIGURES), options.rounds))
    print(f"\n{table(figures)}\n\nload at the end: {_load()}")
    broken = [figure.name for figure in figures if figure.is_broken]
    if broken:
        print(f"above the floor: {', '.join(broken)}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
