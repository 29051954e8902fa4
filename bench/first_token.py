"""From the call of StreamAgent to the first delta, against the openai client called directly.

The same with InitiateAgent and a watch opened right after, as who shows a run to others does, is measured beside it.
"""

from time import perf_counter
from typing import Any

from figures import Figure, in_turn
from world import World, first_delta

MODEL = "scripted:tps=100,count=5,tag=first-token"
COUNT = 30
TEXT = "Hello there"


async def measure(world: World, rounds: int) -> list[Figure]:
    agent = await world.make_agent(MODEL)

    async def baseline() -> float:
        begun = perf_counter()
        stream = await world.model.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": TEXT}], stream=True
        )
        async for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                taken = (perf_counter() - begun) * 1e3
                break
        async for _ in stream:
            pass
        return taken

    async def stream_agent() -> float:
        begun = perf_counter()
        call = world.stream(agent, TEXT)
        run_id = (await first_delta(call)).run_id
        return await _to_the_end(world, call, run_id, (perf_counter() - begun) * 1e3)

    async def two_calls() -> float:
        begun = perf_counter()
        run_id = await world.initiate(agent, TEXT)
        call = world.watch(run_id)
        await first_delta(call)
        return await _to_the_end(world, call, run_id, (perf_counter() - begun) * 1e3)

    streamed = Figure("first token", floor=4.0, goal=2.8)
    watched = Figure("  InitiateAgent, then RunEvents")
    await in_turn(baseline, stream_agent, COUNT // 2)
    for _ in range(rounds):
        streamed.rounds.append(await in_turn(baseline, stream_agent, COUNT))
        watched.rounds.append(await in_turn(baseline, two_calls, COUNT))
    return [streamed, watched]


async def _to_the_end(world: World, call: Any, run_id: str, taken: float) -> float:
    async for _ in call:
        pass
    await world.ended(run_id)
    return taken
