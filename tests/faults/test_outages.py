"""Components that go away and come back, in mid-run: everything goes on, and no model call is repeated."""

import asyncio
import time

import grpc
import pytest
from faults_world import FaultWorld
from public_api import type_of

SECONDS_ADDED_WITHOUT_REDIS = 1.0


async def test_redis_gone_in_mid_run_costs_latency_only(world: FaultWorld) -> None:
    agent = await world.api.make_agent("scripted:tps=20,count=80,tag=redis-out")
    made = await world.api.initiate("go", agent_id=agent)
    watching = asyncio.create_task(world.api.events(made.run_id))
    await world.api.events(made.run_id, stop_when=lambda event: type_of(event) == "message_delta")
    await world.kill("redis")
    await asyncio.sleep(1)
    started = time.monotonic()
    late = await world.api.initiate("without a doorbell", agent_id=await world.api.make_agent("scripted:count=3"))
    assert type_of((await world.api.events(late.run_id))[-1]) == "run_succeeded"
    without_redis = time.monotonic() - started
    await world.start("redis")
    assert type_of((await watching)[-1]) == "run_succeeded"
    assert without_redis < 3 * SECONDS_ADDED_WITHOUT_REDIS, "a poll for the claim, one for the events, and some work"
    assert len(await world.calls(model="scripted:tps=20,count=80,tag=redis-out")) == 1


@pytest.mark.parametrize("kind", ["gateway", "threads", "tools"])
async def test_service_restarted_in_mid_run_repeats_no_model_call(world: FaultWorld, kind: str) -> None:
    model = f"scripted:tps=20,count=80,tag=restart-{kind}"
    agent = await world.api.make_agent(model)
    made = await world.api.initiate("go on", agent_id=agent)
    watching = asyncio.create_task(world.api.events(made.run_id))
    await world.api.events(made.run_id, stop_when=lambda event: type_of(event) == "message_delta")
    for name in (kind, f"{kind}-2"):
        await world.stop(name)
        await world.start(name)
    events = await watching
    assert type_of(events[-1]) == "run_succeeded", events[-1]
    assert {event.epoch for event in events} == {0, 1}
    assert len(await world.calls(model=model)) == 1


@pytest.mark.row("F3")
async def test_runner_stopped_in_mid_run_hands_over_at_once(world: FaultWorld) -> None:
    model = "scripted:tps=20,count=80,tag=drain"
    agent = await world.api.make_agent(model)
    made = await world.api.initiate("hand over", agent_id=agent)
    watching = asyncio.create_task(world.api.events(made.run_id))
    await world.api.events(made.run_id, stop_when=lambda event: type_of(event) == "message_delta")
    runner = await world.runner_of(made.run_id)
    await world.stop(runner)
    await world.start(runner)
    events = await watching
    assert type_of(events[-1]) == "run_succeeded"
    assert (await world.api.get_run(made.run_id)).attempt == 1, "a hand-over is no attempt"


@pytest.mark.parametrize("seconds", [0.0, 6.0], ids=["restart", "longer than a lease"])
async def test_postgres_away_in_mid_run_repeats_no_model_call(world: FaultWorld, seconds: float) -> None:
    model = f"scripted:tps=10,count=120,tag=postgres-{seconds:.0f}"
    agent = await world.api.make_agent(model)
    made = await world.api.initiate("survive", agent_id=agent)
    watching = asyncio.create_task(world.api.events(made.run_id))
    await world.api.events(made.run_id, stop_when=lambda event: type_of(event) == "message_delta")
    await world.kill("postgres")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await world.api.initiate("refused")
    assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
    assert any(key == "grpc-status-details-bin" for key, _ in refused.value.trailing_metadata())
    await asyncio.sleep(seconds)
    await world.start("postgres")
    events = await watching
    assert type_of(events[-1]) == "run_succeeded", events[-1]
    assert {event.epoch for event in events} == {0, 1}
    assert len(await world.calls(model=model)) == 1
