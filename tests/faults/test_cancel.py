"""Stop really stops: the model's socket closes, also while the model is silent."""

import asyncio

import pytest
from faults_world import FaultWorld
from public_api import type_of
from weft.runs.v1 import run_pb2


@pytest.mark.row("G2", "C4", "E7")
async def test_cancel_closes_the_socket_of_a_silent_model_and_tells_the_times(world: FaultWorld) -> None:
    model = "scripted:silent=5,tag=cancel-silent"
    agent = await world.api.make_agent(model)
    made = await world.api.initiate("say nothing", agent_id=agent)
    watching = asyncio.create_task(world.api.events(made.run_id))
    await world.api.events(made.run_id, stop_when=lambda event: type_of(event) == "message_delta")
    await asyncio.sleep(0.3)
    run = await world.api.cancel(made.run_id)
    assert run.state == run_pb2.RUN_STATE_CANCELLED
    for name in ("cancel_time", "model_closed_time", "end_time"):
        assert run.HasField(name), name
    assert run.cancel_time.ToNanoseconds() <= run.model_closed_time.ToNanoseconds() <= run.end_time.ToNanoseconds()
    (call,) = await world.calls(model=model, ended=1)
    assert call["ending"] == "client_closed"
    events = await watching
    assert [type_of(event) for event in events[-2:]] == ["message_incomplete", "run_cancelled"]


@pytest.mark.row("G2")
async def test_cancel_by_request_stops_the_run_and_leaves_the_thread_usable(world: FaultWorld) -> None:
    agent = await world.api.make_agent("scripted:silent=0,tag=cancel-request")
    made = await world.api.initiate("first", agent_id=agent, request_id="r-1")
    await world.calls(model="scripted:silent=0,tag=cancel-request", started=1)
    run = await world.api.cancel(made.run_id)
    assert run.state == run_pb2.RUN_STATE_CANCELLED
    agent = await world.api.make_agent("scripted:count=3")
    again = await world.api.initiate("second", thread_id=made.thread_id, agent_id=agent)
    assert type_of((await world.api.events(again.run_id))[-1]) == "run_succeeded"


async def test_cancel_reaches_the_runner_without_redis_within_a_heartbeat_or_two(world: FaultWorld) -> None:
    agent = await world.api.make_agent("scripted:silent=3,tag=cancel-noredis")
    made = await world.api.initiate("wait", agent_id=agent)
    await world.api.events(made.run_id, stop_when=lambda event: type_of(event) == "message_delta")
    await world.kill("redis")
    run = await world.api.cancel(made.run_id)
    assert run.state == run_pb2.RUN_STATE_CANCELLED
    waited = run.end_time.ToNanoseconds() - run.cancel_time.ToNanoseconds()
    assert waited < 2.5e9, f"{waited / 1e9:.2f} s"
    await world.start("redis")
    await world.api.events(made.run_id)
