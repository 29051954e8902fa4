"""Stopping a run, whatever it does."""

import asyncio
import time
from collections.abc import Callable

import pytest
from runner_world import World
from weft.runs.v1 import event_pb2, run_pb2
from weft.threads.v1 import message_pb2
from weft_testkit.scripted_model import CallRecord


async def closed_call(world: World) -> CallRecord:
    (call,) = await world.model.log.wait_until(lambda calls: calls[0].client_closed_time is not None)
    return call


async def test_partial_answer_is_kept_when_a_run_is_stopped_while_the_model_speaks(world: World) -> None:
    world.agent("scripted:tps=50,count=1000")
    async with world.runner():
        run = world.queue.add_run()
        await world.shows(run, "message_delta", 3)
        world.cancel(run)
        await world.ended(run, 1.0)
        call = await closed_call(world)
    assert run.state == run_pb2.RUN_STATE_CANCELLED
    (message,) = run.messages
    assert message.is_incomplete
    assert message.text == run.shown(message.message_id)
    assert run.kinds()[-2:] == ["message_incomplete", "run_cancelled"]
    assert run.transition is not None
    assert run.transition.HasField("stop")
    assert run.transition.HasField("model_closed_ago")
    assert call.client_closed_time is not None
    assert call.client_closed_time <= world.queue.commit_times[-1] + 0.005


@pytest.mark.parametrize("silence", ["silent=0", "silent=headers", "silent=4"])
async def test_socket_is_closed_at_once_when_a_run_is_stopped_while_the_model_is_silent(
    world: World, silence: str
) -> None:
    world.agent(f"scripted:{silence}")
    async with world.runner():
        run = world.queue.add_run()
        await world.model.log.wait_until(lambda calls: len(calls) == 1)
        await asyncio.sleep(0.1)
        cancelled_at = time.time()
        world.cancel(run)
        call = await closed_call(world)
        await world.ended(run, 1.0)
    assert run.state == run_pb2.RUN_STATE_CANCELLED
    assert call.client_closed_time is not None
    assert call.client_closed_time - cancelled_at < 0.3
    assert len(run.messages) == (silence == "silent=4")


async def test_run_is_stopped_by_the_answer_to_a_commit_when_the_signal_is_lost(world: World) -> None:
    world.queue.heartbeat_seconds = 60.0
    world.queue.lease_seconds = 120.0
    world.agent("scripted:tps=50,count=1000")
    async with world.runner():
        run = world.queue.add_run()
        await world.shows(run, "message_delta", 3)
        world.cancel(run, is_signalled=False)
        await world.ended(run, 1.0)
    assert run.state == run_pb2.RUN_STATE_CANCELLED


async def test_run_is_stopped_by_the_answer_to_a_heartbeat_when_the_model_is_silent(world: World) -> None:
    world.agent("scripted:silent=0")
    async with world.runner():
        run = world.queue.add_run()
        await world.model.log.wait_until(lambda calls: len(calls) == 1)
        world.cancel(run, is_signalled=False)
        await world.ended(run, 2.0)
    assert run.state == run_pb2.RUN_STATE_CANCELLED


async def test_successor_answers_when_a_run_is_superseded(world: World) -> None:
    world.agent("scripted:tps=50,count=1000")
    async with world.runner():
        run = world.queue.add_run()
        await world.shows(run, "message_delta")
        run.successor = "run_01h455vb4pex5vsknk084sn02q"
        world.cancel(run)
        await world.ended(run, 1.0)
    assert run.state == run_pb2.RUN_STATE_SUPERSEDED


async def test_tool_calls_get_results_that_say_so_when_a_run_is_stopped_during_them(world: World) -> None:
    world.agent("scripted:tools=1,tool=slow,calls=2", "slow", max_tool_calls_per_turn=1)
    world.tools.gates["slow"] = asyncio.Event()
    async with world.runner():
        run = world.queue.add_run("go")
        await world.shows(run, "tool_executing")
        world.cancel(run)
        await world.ended(run, 1.0)
        await _until(lambda: world.tools.cancelled == ["slow"])
    assert run.state == run_pb2.RUN_STATE_CANCELLED
    cut, refused = [event.tool_failed for event in run.events if event.WhichOneof("payload") == "tool_failed"]
    assert cut.reason == event_pb2.TOOL_FAILURE_REASON_CANCELLED
    assert "unknown" in cut.message
    assert refused.reason == event_pb2.TOOL_FAILURE_REASON_TOO_MANY_CALLS
    results = [m.parts[0].tool_result for m in run.messages if m.role == message_pb2.ROLE_TOOL]
    assert [result.outcome_unknown for result in results] == [True, False]
    assert not run.pending_calls()
    assert len(world.model.log.find()) == 1


async def test_run_ends_cancelled_when_it_was_to_stop_before_it_was_claimed(world: World) -> None:
    world.agent("scripted")
    run = world.queue.add_run(stop_requested=True)
    async with world.runner():
        await world.ended(run)
    assert run.state == run_pb2.RUN_STATE_CANCELLED
    assert not world.model.log.find()


async def test_pause_between_tries_is_cut_short_when_a_run_is_stopped(world: World) -> None:
    world.agent("scripted:status=429,retry_after=50")
    async with world.runner():
        run = world.queue.add_run()
        await world.queue.until(lambda: bool(run.steps) and run.steps[0].state == "failed")
        world.cancel(run)
        await world.ended(run, 1.0)
    assert run.state == run_pb2.RUN_STATE_CANCELLED
    assert len(world.model.log.find()) == 1


async def test_signal_for_an_older_epoch_is_ignored_when_the_run_was_taken_up_again(world: World) -> None:
    world.agent("scripted:tps=50,count=20")
    async with world.runner():
        run = world.queue.add_run()
        await world.shows(run, "message_delta")
        world.outlet.signal(run.owner, run.run_id, run.epoch - 1)
        await world.ended(run)
    assert run.state == run_pb2.RUN_STATE_SUCCEEDED


async def _until(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(2):
        while not is_true():  # noqa: ASYNC110 - the tools fake tells nobody
            await asyncio.sleep(0.01)
