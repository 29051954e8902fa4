"""A second message while one is answered: one answer for both, and the first model call closed before the next."""

import asyncio

import pytest
from faults_world import FaultWorld
from public_api import type_of
from weft.runs.v1 import run_pb2
from weft.threads.v1 import message_pb2


@pytest.mark.row("D3")
async def test_second_message_is_answered_with_the_first_when_it_comes_in_mid_answer(world: FaultWorld) -> None:
    model = "scripted:tps=20,count=100,tag=merge-two"
    agent = await world.api.make_agent(model, busy_strategy=run_pb2.BUSY_STRATEGY_MERGE)
    first = await world.api.initiate("what is merge?", agent_id=agent)
    watching = asyncio.create_task(world.api.events(first.run_id))
    await world.api.events(first.run_id, stop_when=lambda event: type_of(event) == "message_delta")
    second = await world.api.initiate("and in short?", thread_id=first.thread_id)
    assert second.is_merged
    seen_first, seen_second = await watching, await world.api.events(second.run_id)
    assert type_of(seen_first[-1]) == "run_superseded"
    assert seen_first[-1].run_superseded.successor_run_id == second.run_id
    assert type_of(seen_second[-1]) == "run_succeeded"
    cut, whole = await world.calls(model=model)
    assert cut["client_closed_time"] < whole["start_time"], "closed before the successor's call"
    assert whole["user_text"] == "what is merge?\n---\nand in short?"
    messages = await world.api.messages(first.thread_id)
    users = [message for message in messages if message.role == message_pb2.ROLE_USER]
    answers = [
        m for m in messages if m.role == message_pb2.ROLE_ASSISTANT and m.state == message_pb2.Message.STATE_COMPLETE
    ]
    assert [message.parts[0].text for message in users] == ["what is merge?", "and in short?"]
    assert len(answers) == 1


@pytest.mark.row("D3")
async def test_twenty_messages_in_a_second_get_one_answer_with_all_of_them_in_order(world: FaultWorld) -> None:
    model = "scripted:ttft=2,count=30,tag=merge-twenty"
    agent = await world.api.make_agent(model, busy_strategy=run_pb2.BUSY_STRATEGY_MERGE)
    made = [await world.api.initiate("m0", agent_id=agent)]
    for number in range(1, 20):
        made.append(await world.api.initiate(f"m{number}", thread_id=made[0].thread_id))
        await asyncio.sleep(0.03)
    for each in made:
        await world.api.events(each.run_id)
    states = [(await world.api.get_run(each.run_id)).state for each in made]
    assert states == [run_pb2.RUN_STATE_SUPERSEDED] * 19 + [run_pb2.RUN_STATE_SUCCEEDED]
    answered = [call for call in await world.calls(model=model) if call["ending"] == "completed"]
    assert [call["user_text"] for call in answered] == ["\n---\n".join(f"m{n}" for n in range(20))]
    messages = await world.api.messages(made[0].thread_id)
    complete = [
        m for m in messages if m.role == message_pb2.ROLE_ASSISTANT and m.state == message_pb2.Message.STATE_COMPLETE
    ]
    assert len(complete) == 1
    assert sum(message.role == message_pb2.ROLE_USER for message in messages) == 20
