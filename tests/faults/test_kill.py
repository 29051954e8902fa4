"""kill -9 of a runner in mid-stream and in mid-tool: another goes on, nothing is repeated that was finished."""

import asyncio
import json
import time

import pytest
from faults_world import FaultWorld
from oracle.ids import uuid_of
from public_api import text_of, type_of

PICK_UP_SECONDS = 5.0


@pytest.mark.row("G6", "G1")
async def test_run_goes_on_when_its_runner_is_killed_in_mid_stream(world: FaultWorld) -> None:
    agent = await world.api.make_agent("scripted:tps=20,count=120,tag=killstream")
    made = await world.api.initiate("tell me", agent_id=agent)
    watching = asyncio.create_task(world.api.events(made.run_id))
    await world.api.events(made.run_id, stop_when=lambda event: type_of(event) == "message_delta" and event.seq > 10)
    await world.kill(await world.runner_of(made.run_id))
    killed = time.monotonic()
    await world.api.events(made.run_id, stop_when=lambda event: type_of(event) == "run_resumed")
    took = time.monotonic() - killed
    events = await watching
    types = [type_of(event) for event in events]
    assert types.count("run_resumed") == 1
    assert types.count("message_discarded") == 1
    assert types[-1] == "run_succeeded"
    assert {event.epoch for event in events} == {0, 1, 2}, "the epoch rises once"
    answer = next(message for message in await world.api.messages(made.thread_id) if message.run_id == made.run_id)
    assert text_of(events) == answer.parts[0].text
    assert len(await world.calls(marker="tell me", model="scripted:tps=20,count=120,tag=killstream")) == 2
    assert took <= PICK_UP_SECONDS, f"picked up after {took:.1f} s"


@pytest.mark.row("G4", "G6")
@pytest.mark.parametrize("idempotent_before", ["seconds", "seconds_after"])
async def test_effect_happens_once_when_the_runner_is_killed_in_mid_tool(
    world: FaultWorld, idempotent_before: str
) -> None:
    model = f"scripted:tag=killtool-{idempotent_before}"
    agent = await world.api.make_agent(model, tools=["count_effect"])
    call = f"call count_effect {json.dumps({idempotent_before: 2.0})}"
    made = await world.api.initiate(call, agent_id=agent)
    watching = asyncio.create_task(world.api.events(made.run_id))
    await world.api.events(made.run_id, stop_when=lambda event: type_of(event) == "tool_executing")
    await asyncio.sleep(0.5)
    await world.kill(await world.runner_of(made.run_id))
    killed = time.monotonic()
    await world.api.events(made.run_id, stop_when=lambda event: type_of(event) == "run_resumed")
    assert time.monotonic() - killed <= PICK_UP_SECONDS
    events = await watching
    types = [type_of(event) for event in events]
    assert types[-1] == "run_succeeded"
    assert types.count("tool_completed") == 1
    assert types.count("message_discarded") == 0
    assert len(world.effects.read_text().split()) == 1, "the effect counter"
    steps = await world.fetch("SELECT step, attempt FROM run_steps WHERE run_id = $1", uuid_of(made.run_id))
    assert len(await world.calls(model=model)) == len(steps) == 2, "no model call is repeated"
