"""Model calls that fail, and services that are away."""

import asyncio

import pytest
from runner_world import World
from weft.runs.v1 import event_pb2, run_pb2
from weft_testkit.run_queue import FakeRun


def failure(run: FakeRun) -> run_pb2.Failure:
    return run.events[-1].run_failed.failure


@pytest.mark.parametrize(
    "fault",
    ["status=500", "status=408", "status=409", "status=429,retry_after=0", "silent=0", "silent=headers", "cut=0"],
)
async def test_call_is_made_again_when_the_provider_fails_once(world: World, fault: str) -> None:
    world.agent(f"scripted:{fault},fail_first=1,count=5")
    async with world.runner(model_first_byte_seconds=0.5, model_idle_seconds=0.5):
        run = await world.ended(world.queue.add_run())
    assert run.state == run_pb2.RUN_STATE_SUCCEEDED
    assert [(step.step, step.attempt, step.state) for step in run.steps] == [(1, 1, "failed"), (1, 2, "succeeded")]
    assert "message_discarded" not in run.kinds()
    assert (run.usage.model_calls, run.usage.unmetered_model_calls) == (2, 1)
    usages = [event.usage_updated.usage for event in run.events if event.WhichOneof("payload") == "usage_updated"]
    assert usages[-1] == run.usage


@pytest.mark.parametrize("fault", ["cut=5", "nofinish=5", "malformed=5", "error=5", "silent=5"])
async def test_what_was_shown_is_discarded_when_a_stream_breaks_in_the_middle(world: World, fault: str) -> None:
    world.agent(f"scripted:{fault},fail_first=1,count=20,tps=100")
    async with world.runner(model_idle_seconds=0.5):
        run = await world.ended(world.queue.add_run())
    first, second = run.steps
    assert run.state == run_pb2.RUN_STATE_SUCCEEDED
    assert first.message_id != second.message_id
    discarded = await world.shows(run, "message_discarded")
    assert discarded.message_discarded.message_id == first.message_id
    assert run.shown(second.message_id) == run.answer()
    assert [message.message_id for message in run.messages] == [second.message_id]


async def test_run_fails_with_its_partial_answer_kept_when_every_try_is_cut(world: World) -> None:
    world.agent("scripted:cut=5,count=20", max_tries=2)
    async with world.runner():
        run = await world.ended(world.queue.add_run())
    assert failure(run).reason == run_pb2.FAILURE_REASON_MODEL_UNAVAILABLE
    assert [step.state for step in run.steps] == ["failed", "failed"]
    (message,) = run.messages
    assert message.is_incomplete
    assert message.text == run.shown(run.steps[1].message_id)
    assert run.kinds()[-2:] == ["message_incomplete", "run_failed"]


@pytest.mark.parametrize(
    ("fault", "reason", "calls"),
    [
        ("status=401", run_pb2.FAILURE_REASON_MODEL_REFUSED, 1),
        ("status=400,code=context_length_exceeded", run_pb2.FAILURE_REASON_CONTEXT_TOO_LARGE, 1),
        ("status=503", run_pb2.FAILURE_REASON_MODEL_UNAVAILABLE, 3),
        ("status=429", run_pb2.FAILURE_REASON_MODEL_RATE_LIMITED, 3),
    ],
)
async def test_run_fails_with_the_reason_when_the_provider_refuses(
    world: World, fault: str, reason: "run_pb2.FailureReason.ValueType", calls: int
) -> None:
    world.agent(f"scripted:{fault}")
    async with world.runner():
        run = await world.ended(world.queue.add_run())
    assert failure(run).reason == reason
    assert failure(run).provider_status == int(fault.removeprefix("status=").partition(",")[0])
    assert len(world.model.log.find()) == calls == len(run.steps)
    assert not run.messages


async def test_pause_is_kept_in_place_when_the_provider_asks_for_a_short_one(world: World) -> None:
    world.agent("scripted:status=429,retry_after=1,fail_first=1")
    async with world.runner():
        run = await world.ended(world.queue.add_run())
    first, second = world.model.log.find()
    assert second.start_time - first.start_time >= 1.0
    assert run.state == run_pb2.RUN_STATE_SUCCEEDED


async def test_run_is_parked_and_goes_on_when_the_provider_asks_for_a_long_pause(world: World) -> None:
    world.agent("scripted:status=429,retry_after=100,fail_first=1")
    async with world.runner():
        run = world.queue.add_run()
        await world.shows(run, "run_waiting")
        assert run.transition is not None
        assert run.transition.park.wake_after.seconds == 100
        assert run.steps[0].state == "failed"
        run.state = run_pb2.RUN_STATE_QUEUED  # woken
        world.queue.on_ready(1)
        await world.ended(run)
    assert [(step.step, step.attempt) for step in run.steps] == [(1, 1), (1, 2)]
    assert run.state == run_pb2.RUN_STATE_SUCCEEDED


async def test_run_times_out_with_its_partial_answer_kept_when_its_time_is_over(world: World) -> None:
    world.agent("scripted:tps=20,count=400")
    async with world.runner():
        run = await world.ended(world.queue.add_run(remaining_seconds=0.6))
    assert run.state == run_pb2.RUN_STATE_TIMED_OUT
    (message,) = run.messages
    assert message.is_incomplete
    assert message.text == run.shown(message.message_id) != ""
    assert len(world.model.log.find()) == 1


async def test_call_goes_on_when_the_tools_service_comes_back_in_time(world: World) -> None:
    world.agent("scripted:tools=1,tool=echo", "echo")
    world.tools.breaks = 2
    async with world.runner(tools_patience_seconds=5.0):
        run = await world.ended(world.queue.add_run("go"))
    assert world.tools.places() == [(1, 0)] * 3
    assert run.kinds().count("tool_executing") == 1
    assert "tool_completed" in run.kinds()


async def test_model_is_told_when_the_tools_service_stays_away(world: World) -> None:
    world.agent("scripted:tools=1,tool=echo,ttft=0.3", "echo")
    async with world.runner():
        run = world.queue.add_run("go")
        await world.model.log.wait_until(lambda calls: len(calls) == 1)
        world.tools.is_away = True
        await world.ended(run)
    failed = (await world.shows(run, "tool_failed")).tool_failed
    assert failed.reason == event_pb2.TOOL_FAILURE_REASON_UNAVAILABLE
    assert "tool_executing" not in run.kinds()
    assert run.state == run_pb2.RUN_STATE_SUCCEEDED


async def test_outcome_is_unknown_when_the_tools_service_goes_away_in_the_middle_of_a_call(world: World) -> None:
    world.agent("scripted:tools=1,tool=echo", "echo")
    world.tools.breaks = 1000
    async with world.runner():
        run = await world.ended(world.queue.add_run("go"))
    failed = (await world.shows(run, "tool_failed")).tool_failed
    assert failed.reason == event_pb2.TOOL_FAILURE_REASON_OUTCOME_UNKNOWN
    assert run.messages[1].parts[0].tool_result.outcome_unknown


async def test_run_waits_for_the_tools_of_its_agent_when_they_cannot_be_loaded_yet(world: World) -> None:
    world.agent("scripted", "echo")
    world.tools.is_away = True
    async with world.runner():
        run = world.queue.add_run("go")
        await world.shows(run, "step_started")
        await asyncio.sleep(1.5)  # longer than the patience with a tool call
        assert not run.is_ended
        world.tools.is_away = False
        await world.ended(run)
    assert run.state == run_pb2.RUN_STATE_SUCCEEDED


async def test_tool_call_is_asked_for_again_when_the_tools_service_goes_away_late(world: World) -> None:
    world.agent("scripted:tools=1,tool=slow", "slow")
    world.tools.gates["slow"] = asyncio.Event()
    async with world.runner(tools_patience_seconds=1.0):
        run = world.queue.add_run("go")
        await world.shows(run, "tool_progress")
        await asyncio.sleep(1.2)
        await world.tools.restart()
        world.tools.gates["slow"].set()
        await world.ended(run)
    assert world.tools.places() == [(1, 0)] * 2
    assert "tool_completed" in run.kinds()
