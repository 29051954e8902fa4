"""2,000 tokens as fast as they come, to the end of the answer, against the openai client called directly."""

from time import perf_counter

import direct
from figures import Figure, in_turn
from world import World, require_success

TOKENS = 2000
MODEL = f"scripted:count={TOKENS},tag=burst"
COUNT = 5


async def measure(world: World, rounds: int) -> list[Figure]:
    agent = await world.make_agent(MODEL)

    async def baseline() -> float:
        begun = perf_counter()
        if await direct.answer(world, MODEL) != TOKENS:
            raise RuntimeError("the direct loop missed tokens")
        return TOKENS / (perf_counter() - begun)

    async def weft() -> float:
        begun = perf_counter()
        answer = require_success(await world.run(agent))
        if not answer.text.endswith(f" t{TOKENS}"):
            raise RuntimeError("tokens are missing")
        return TOKENS / (perf_counter() - begun)

    figure = Figure("burst of 2,000 tokens", floor=2, goal=5, unit="tokens/s", more_is_better=True)
    await in_turn(baseline, weft, COUNT)
    for _ in range(rounds):
        figure.rounds.append(await in_turn(baseline, weft, COUNT))
    with world.costing("burst of 2,000 tokens", COUNT):
        for _ in range(COUNT):
            await weft()
    return [figure]
