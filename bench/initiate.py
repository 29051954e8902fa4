"""InitiateAgent, one call after another, against a bare unary call whose handler commits one row."""

from time import perf_counter

from figures import Figure, in_turn
from world import World

MODEL = "scripted:count=3,tag=initiate"
COUNT = 30


async def measure(world: World, rounds: int) -> list[Figure]:
    agent = await world.make_agent(MODEL)

    async def baseline() -> float:
        begun = perf_counter()
        await world.baseline.commit()
        return (perf_counter() - begun) * 1e3

    async def weft() -> float:
        begun = perf_counter()
        run_id = await world.initiate(agent)
        taken = (perf_counter() - begun) * 1e3
        await world.ended(run_id)
        return taken

    figure = Figure("initiate → ids", floor=3.0, goal=2.2)
    await in_turn(baseline, weft, COUNT // 2)
    for _ in range(rounds):
        figure.rounds.append(await in_turn(baseline, weft, COUNT))
    return [figure]
