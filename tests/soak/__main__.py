"""Run a seeded mix of runs at once, without faults, and judge: ends, the oracle, memory, leftovers.

Ends with `soak: ok` and 0, or tells what is wrong and ends with 1.
"""

import argparse
import asyncio
import random
import sys
import time

from weft_cli.stack import Stack

from soak.drive import Soak


async def main(options: argparse.Namespace) -> int:
    print(f"soak: {options.runs} runs, {options.at_once} at once, seed {options.seed}", flush=True)
    began = time.monotonic()
    async with Stack(replicas=options.replicas, env={"*": {"WEFT_STRICT_REASONS": "1"}}) as stack:
        troubles = await Soak(stack, random.Random(options.seed), options.runs, options.at_once).go()
    for trouble in troubles:
        print(f"soak: {trouble}", file=sys.stderr)
    seconds = time.monotonic() - began
    print(f"soak: {f'{len(troubles)} troubles' if troubles else 'ok'} after {seconds:.0f} s", flush=True)
    return 1 if troubles else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000, help="how many runs (default 10000)")
    parser.add_argument("--at-once", type=int, default=50, help="how many at once (default 50)")
    parser.add_argument("--seed", type=int, default=random.randrange(2**31), help="draws the same mix again")
    parser.add_argument("--replicas", type=int, default=1, help="of each service (default 1)")
    sys.exit(asyncio.run(main(parser.parse_args())))
