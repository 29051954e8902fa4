"""100 runs at once with 200 tokens each at 50 a second, all watched: how much longer than the model takes?"""

import asyncio
from time import perf_counter

import direct
from figures import Figure, Round
from processes import Cost
from world import CLIENT, SERVICES, World, require_success

RUNS, TOKENS, PACE = 100, 200, 50
MODEL = f"scripted:count={TOKENS},tps={PACE},tag=hundred"
IDEAL_SECONDS = TOKENS / PACE
ROUNDS = 3


async def measure(world: World, rounds: int) -> list[Figure]:
    agent = await world.make_agent(MODEL)
    taken = Figure(f"{RUNS} runs × {TOKENS} tokens at {PACE}/s, to ideal", floor=1.2, goal=1.05, unit="s")
    cpu = Figure("  CPU of services, to the direct loop's", goal=1.5, unit="s")
    memory = Figure("  largest service, MiB", goal=120, unit="MiB")
    await world.run(agent)
    for _ in range(min(rounds, ROUNDS)):
        with world.costing(f"direct loop, {RUNS} × {TOKENS}", RUNS):
            await asyncio.gather(*(direct.answer(world, MODEL) for _ in range(RUNS)))
        spent = _only_client(world.costs)
        begun = perf_counter()
        with world.costing(f"{RUNS} runs × {TOKENS} tokens", RUNS):
            answers = await asyncio.gather(*(world.run(agent) for _ in range(RUNS)))
        taken.rounds.append(Round([IDEAL_SECONDS], [perf_counter() - begun]))
        if not all(require_success(each).text.endswith(f" t{TOKENS}") for each in answers):
            raise RuntimeError("tokens are missing")
        cost = world.costs[-1]
        cpu.rounds.append(Round([spent], [sum(cost.cpu[name] for name in SERVICES)]))
        memory.rounds.append(Round([], [max(cost.memory.values())]))
    return [taken, cpu, memory]


def _only_client(costs: list[Cost]) -> float:
    """Of the direct loop only this process and the model work; return the CPU seconds of this process."""
    cost = costs[-1]
    cost.cpu = {name: cost.cpu[name] for name in ("model", CLIENT)}
    cost.memory = {}
    return cost.cpu[CLIENT]
