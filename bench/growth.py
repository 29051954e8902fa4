"""What a run costs as there are more of them at once, and as its thread grows. The model's context is kept small."""

import asyncio
from collections.abc import Sequence
from time import perf_counter

from figures import Figure, Round
from weft.agents.v1 import agent_pb2
from weft.threads.v1 import message_pb2, thread_service_pb2
from world import World, require_success, told

MODEL = "scripted:count=10,tps=20,tag=growth"
SHORT_MODEL = "scripted:count=3,tag=length"
LEVELS = {1: 20, 10: 60, 100: 200, 400: 400}  # runs at once: runs in all
LENGTHS = (10, 10_000)
TURNS = 20
AT_ONCE = 32
ROUNDS = 2


async def measure(world: World, rounds: int) -> list[Figure]:
    agent = await world.make_agent(MODEL)
    by_level = {level: Figure(f"CPU a run, {level} at once, to one alone", goal=1.0) for level in LEVELS if level > 1}
    await _cpu_of_a_run(world, agent, 10)
    for _ in range(min(rounds, ROUNDS)):
        alone = await _cpu_of_a_run(world, agent, 1)
        for level, figure in by_level.items():
            figure.rounds.append(Round([alone], [await _cpu_of_a_run(world, agent, level)]))
    return [*by_level.values(), await _by_length(world, rounds)]


async def _cpu_of_a_run(world: World, agent: str, level: int) -> float:
    """Return the CPU milliseconds of all services and PostgreSQL for one run of many."""
    left = iter(range(LEVELS[level]))

    async def worker() -> None:
        for _ in left:
            require_success(await world.run(agent))

    before = world.cpu_of_services()
    with world.costing(f"{level} at once, 10 tokens", LEVELS[level]):
        await asyncio.gather(*(worker() for _ in range(level)))
    return (world.cpu_of_services() - before) / LEVELS[level] * 1e3


async def _by_length(world: World, rounds: int) -> Figure:
    """Ask in a short and in a long thread in turn."""
    limits = agent_pb2.AgentLimits(context_limit_tokens=100)
    agent = await world.make_agent(SHORT_MODEL, limits=limits)
    threads = [await _thread_of(world, agent, length) for length in LENGTHS]
    figure = Figure(f"a run in a thread of {LENGTHS[1]:,} messages, to {LENGTHS[0]}", goal=1.1)
    for _ in range(rounds):
        taken: Sequence[list[float]] = ([], [])
        for _ in range(TURNS):
            for place, thread in enumerate(threads):
                begun = perf_counter()
                run = await world.initiate(agent, thread_id=thread)
                require_success(await told(world.watch(run)))
                taken[place].append((perf_counter() - begun) * 1e3)
                await world.ended(run)
        figure.rounds.append(Round(*taken))
    return figure


async def _thread_of(world: World, agent: str, length: int) -> str:
    request = thread_service_pb2.CreateThreadRequest(agent_id=agent)
    thread = (await world.api.call(world.api.threads.CreateThread, request)).thread.thread_id
    left = iter(range(length))

    async def worker() -> None:
        for place in left:
            role = message_pb2.ROLE_USER if place % 2 == 0 else message_pb2.ROLE_ASSISTANT
            message = thread_service_pb2.CreateMessageRequest(
                thread_id=thread, role=role, parts=[message_pb2.Part(text=f"message {place} of this long thread")]
            )
            await world.api.call(world.api.threads.CreateMessage, message)

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    return thread
