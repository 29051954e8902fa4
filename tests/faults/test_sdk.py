"""The SDK streams through Envoy while gateways, Envoy and Redis are killed: not a token is lost or doubled."""

import asyncio
from dataclasses import dataclass, field

import pytest
from faults_world import FaultWorld
from weft.threads.v1 import message_pb2
from weft_client import AsyncWeft, Event, Weft

TOKENS = 500
MODEL = f"scripted:tps=25,count={TOKENS}"
SECONDS = 90.0
# Killed with SIGKILL, and started again. Redis keeps nothing on disk: it comes back empty.
TROUBLES = [("gateway",), ("envoy",), ("redis",), ("gateway", "gateway-2"), ("gateway-2", "redis"), ("envoy",)]
ENOUGH = 3  # a slow machine is not done with all before the run ends; a gateway, Envoy and Redis come first


@dataclass
class Seen:
    """What a reader has, and the text as one would have printed it."""

    events: list[Event] = field(default_factory=list)
    grown: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, event: Event) -> None:
        self.events.append(event)
        self.grown.set()

    async def more(self, count: int) -> None:
        """Wait until so many further events have come."""
        wanted = len(self.events) + count
        async with asyncio.timeout(30):
            while len(self.events) < wanted and not (self.events and self.events[-1].is_terminal):
                self.grown.clear()
                await self.grown.wait()


async def trouble(world: FaultWorld, seen: Seen) -> int:
    """Do it all to those that stand between, each time in the middle of the stream. Return how often."""
    for done, names in enumerate(TROUBLES):
        await seen.more(10)
        if seen.events[-1].is_terminal:
            return done
        for name in names:
            await world.kill(name)
        for name in names:
            await world.start(name)
    return len(TROUBLES)


async def check(world: FaultWorld, seen: Seen, text: str, thread_id: str, run_id: str) -> None:
    """The reader's events are the log, and its text is the stored message, to the letter."""
    logged = await world.api.events(run_id)
    assert [event.proto for event in seen.events] == logged
    assert [event.seq for event in seen.events] == list(range(1, len(logged) + 1))
    (answer,) = [m for m in await world.api.messages(thread_id) if m.role == message_pb2.ROLE_ASSISTANT]
    assert text == answer.parts[0].text
    assert len(text.split()) == TOKENS


@pytest.mark.row("G1", "G6")
async def test_async_stream_loses_nothing_whatever_is_killed_on_the_way(world: FaultWorld) -> None:
    agent = await world.api.make_agent(MODEL)
    seen = Seen()
    async with AsyncWeft(world.stack.address("envoy"), world.api.key) as client:
        async with client.stream("tell me", agent=agent, timeout=SECONDS) as stream:
            troubling = asyncio.create_task(trouble(world, seen))
            async for event in stream:
                seen.add(event)
            assert await troubling >= ENOUGH
            answer = await stream.answer()
    await check(world, seen, answer.text, answer.thread_id, answer.run_id)


@pytest.mark.row("G1", "G6")
async def test_sync_stream_loses_nothing_whatever_is_killed_on_the_way(world: FaultWorld) -> None:
    agent = await world.api.make_agent(MODEL)
    seen, loop = Seen(), asyncio.get_running_loop()
    with Weft(world.stack.address("envoy"), world.api.key) as client:
        with client.stream("tell me", agent=agent, timeout=SECONDS) as stream:

            def read() -> None:
                for event in stream:
                    loop.call_soon_threadsafe(seen.add, event)

            reading = asyncio.create_task(asyncio.to_thread(read))
            troubling = asyncio.create_task(trouble(world, seen))
            await reading
            assert await troubling >= ENOUGH
            answer = stream.answer()
    await check(world, seen, answer.text, answer.thread_id, answer.run_id)


@pytest.mark.row("G1")
async def test_starts_make_one_run_each_while_gateways_and_envoy_are_killed(world: FaultWorld) -> None:
    """A start whose answer was lost is made again under its key."""
    agent = await world.api.make_agent("scripted:count=3")
    is_over = asyncio.Event()

    async def ask(client: AsyncWeft, asker: int) -> list[str]:
        made: list[str] = []
        while not is_over.is_set():
            started = await client.start(f"{asker}-{len(made)}", agent=agent)
            world.api.recordings.initiated(started.run_id, started.message_id)
            made.append(started.run_id)
        return made

    async with AsyncWeft(world.stack.address("envoy"), world.api.key) as client:
        asking = [asyncio.create_task(ask(client, asker)) for asker in range(8)]
        for name in ("gateway", "gateway-2", "envoy", "gateway"):
            await asyncio.sleep(0.3)  # so that there are calls under way
            await world.kill(name)
            await world.start(name)
        is_over.set()
        made = [run for runs in await asyncio.gather(*asking) for run in runs]
        for run_id in made:
            await client.wait(run_id, timeout=60)
    rows = await world.fetch(
        "SELECT id_text('run', run_id) AS run FROM runs WHERE id_text('agt', agent_id) = $1", agent
    )
    assert sorted(row["run"] for row in rows) == sorted(made)
    assert len(made) > 8
