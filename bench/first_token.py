"""From InitiateAgent to the first delta on a watch opened right after, against the openai client called directly."""

from time import perf_counter

from figures import Figure, in_turn
from world import World, first_delta

MODEL = "scripted:tps=100,count=5,tag=first-token"
COUNT = 30


async def measure(world: World, rounds: int) -> list[Figure]:
    agent = await world.make_agent(MODEL)

    async def baseline() -> float:
        begun = perf_counter()
        stream = await world.model.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "Hello there"}], stream=True
        )
        async for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                taken = (perf_counter() - begun) * 1e3
                break
        async for _ in stream:
            pass
        return taken

    async def weft() -> float:
        begun = perf_counter()
        run_id = await world.initiate(agent)
        call = world.watch(run_id)
        await first_delta(call)
        taken = (perf_counter() - begun) * 1e3
        async for _ in call:
            pass
        await world.ended(run_id)
        return taken

    figure = Figure("first token", floor=4.0, goal=2.8)
    await in_turn(baseline, weft, COUNT // 2)
    for _ in range(rounds):
        figure.rounds.append(await in_turn(baseline, weft, COUNT))
    return [figure]
