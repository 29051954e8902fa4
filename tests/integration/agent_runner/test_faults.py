"""Lost answers, outages, take-overs: what the write lane and the lease are for."""

import asyncio
from itertools import pairwise

from runner_world import World
from weft.runner.v1 import agent_runner_service_pb2 as runner_pb
from weft.runs.v1 import run_pb2
from weft.threads.v1 import message_pb2

ASSISTANT, TOOL = message_pb2.ROLE_ASSISTANT, message_pb2.ROLE_TOOL


async def test_nothing_is_written_twice_when_the_answers_to_commits_are_lost(world: World) -> None:
    world.agent("scripted:tools=1,tool=echo,tps=200,count=40", "echo")
    world.queue.lost_answers = 6
    async with world.runner():
        run = await world.ended(world.queue.add_run("go"))
        await asyncio.sleep(0.1)
    assert run.state == run_pb2.RUN_STATE_SUCCEEDED
    assert world.tools.places() == [(1, 0)]
    assert len(world.model.log.find()) == 2
    assert [message.role for message in run.messages] == [ASSISTANT, TOOL, ASSISTANT]
    assert run.shown(run.steps[1].message_id) == run.answer()
    commits = world.queue.commits
    assert sum(one == two for one, two in pairwise(commits)) == 6


async def test_no_model_call_is_repeated_when_the_queue_is_away_for_longer_than_a_lease(world: World) -> None:
    world.queue.lease_seconds, world.queue.heartbeat_seconds = 1.5, 0.3
    world.agent("scripted:tps=40,count=80")
    async with world.runner():
        run = world.queue.add_run()
        await world.shows(run, "message_delta", 2)
        world.queue.is_away = True
        await asyncio.sleep(3.0)
        world.queue.is_away = False
        await world.ended(run)
    assert run.state == run_pb2.RUN_STATE_SUCCEEDED
    assert len(world.model.log.find()) == 1
    assert run.epoch == 1
    assert run.shown(run.steps[0].message_id) == run.answer()


async def test_no_tool_call_is_started_when_the_lease_is_not_trusted(world: World) -> None:
    world.queue.lease_seconds, world.queue.heartbeat_seconds = 1.5, 0.3
    world.agent("scripted:tools=1,tool=echo,ttft=0.1", "echo")
    async with world.runner():
        run = world.queue.add_run("go")
        await world.model.log.wait_until(lambda calls: len(calls) == 1)
        world.queue.away_methods.add("Heartbeat")
        world.queue.commit_gate.clear()
        await asyncio.sleep(1.0)  # by now the lease is trusted no more
        world.queue.commit_gate.set()
        await world.queue.until(lambda: bool(run.messages))
        await asyncio.sleep(0.5)
        assert not world.tools.executed
        world.queue.away_methods.clear()
        await world.ended(run)
    assert run.state == run_pb2.RUN_STATE_SUCCEEDED
    assert world.tools.places() == [(1, 0)]


async def test_nothing_more_is_written_when_a_run_was_taken_over(world: World) -> None:
    world.agent("scripted:tps=50,count=1000")
    async with world.runner() as runner, runner.stub() as stub:
        run = world.queue.add_run()
        await world.shows(run, "message_delta", 2)
        world.queue.take_over(run)
        seq = run.last_seq
        await world.model.log.wait_until(lambda calls: calls[0].client_closed_time is not None)
        assert not (await stub.ListActiveRuns(runner_pb.ListActiveRunsRequest())).runs
        await asyncio.sleep(0.1)
    assert run.last_seq == seq
    assert run.state == run_pb2.RUN_STATE_RUNNING
    assert not run.messages


async def test_silent_run_is_dropped_by_a_heartbeat_when_it_was_taken_over(world: World) -> None:
    world.agent("scripted:silent=0")
    async with world.runner():
        run = world.queue.add_run()
        await world.model.log.wait_until(lambda calls: len(calls) == 1)
        world.queue.take_over(run)
        await world.model.log.wait_until(lambda calls: calls[0].client_closed_time is not None)
    assert run.kinds()[-1] == "run_resumed"


async def test_run_fails_when_what_it_says_can_never_be_written(world: World) -> None:
    world.agent("scripted:tps=100,count=300")
    async with world.runner():
        run = world.queue.add_run(poison="t40")
        other = world.queue.add_run()
        await world.ended(run)
        await world.ended(other)
    assert run.events[-1].run_failed.failure.reason == run_pb2.FAILURE_REASON_INTERNAL
    assert other.state == run_pb2.RUN_STATE_SUCCEEDED


async def test_runner_registers_anew_and_drops_its_runs_when_the_queue_does_not_know_it(world: World) -> None:
    world.agent("scripted:tps=50,count=100")
    async with world.runner():
        run = world.queue.add_run()
        await world.shows(run, "message_delta", 2)
        world.queue.runners.clear()
        run.owner = ""
        await world.ended(run)
    assert world.queue.calls["RegisterRunner"] == 2
    assert run.state == run_pb2.RUN_STATE_SUCCEEDED
    assert run.epoch == 2
    assert [step.state for step in run.steps] == ["cut", "succeeded"]


async def test_run_is_given_back_when_the_answer_to_its_claim_was_lost(world: World) -> None:
    world.agent("scripted")
    world.queue.heartbeat_seconds = 0.2
    async with world.runner():
        run = world.queue.add_run()
        await world.ended(run)
        lost = world.queue.add_run()
        lost.state, lost.epoch, lost.owner = run_pb2.RUN_STATE_RUNNING, 1, next(iter(world.queue.runners))
        await world.ended(lost)
    assert world.queue.calls["Release"] == 1
    assert lost.state == run_pb2.RUN_STATE_SUCCEEDED


async def test_open_tool_calls_come_first_when_a_run_is_taken_over_after_its_model_message(world: World) -> None:
    world.agent("scripted:tools=1,tool=slow,calls=2", "slow", "echo")
    world.tools.gates["slow"] = asyncio.Event()
    async with world.runner() as first, first.stub() as stub:
        run = world.queue.add_run("go")
        await world.shows(run, "tool_executing")
        await stub.Drain(runner_pb.DrainRequest())
    world.tools.gates["slow"].set()
    async with world.runner():
        await world.ended(run)
    assert run.epoch == 2
    assert len(world.model.log.find()) == 2
    assert set(world.tools.places()) == {(1, 0), (1, 1)}
    assert [step.state for step in run.steps] == ["succeeded", "succeeded"]
    told = world.model.log.find()[1].messages
    assert [message["role"] for message in told] == ["system", "user", "assistant", "tool", "tool"]


async def test_call_is_made_again_under_a_new_message_when_a_run_is_taken_over_in_mid_answer(world: World) -> None:
    world.agent("scripted:tps=50,count=60")
    async with world.runner() as first, first.stub() as stub:
        run = world.queue.add_run()
        await world.shows(run, "message_delta", 2)
        await stub.Drain(runner_pb.DrainRequest())
        assert "message_discarded" not in run.kinds()
    async with world.runner():
        await world.ended(run)
    assert [step.state for step in run.steps] == ["cut", "succeeded"]
    assert run.kinds().count("message_discarded") == 1
    assert run.shown(run.steps[1].message_id) == run.answer()


async def test_model_is_held_up_when_nothing_can_be_written(world: World) -> None:
    world.agent("scripted:tps=2000,count=3000")
    async with world.runner(max_buffered_bytes=2048):
        run = world.queue.add_run()
        await world.shows(run, "message_delta")
        world.queue.commit_gate.clear()
        await asyncio.sleep(1.0)
        world.queue.commit_gate.set()
        await world.ended(run)
    assert run.shown(run.steps[0].message_id) == run.answer()


async def test_runs_are_found_when_redis_is_away(world: World) -> None:
    world.agent("scripted")
    async with world.runner(redis_url="redis://127.0.0.1:1/0"):
        run = world.queue.add_run()
        await world.ended(run, 3.0)
    assert run.state == run_pb2.RUN_STATE_SUCCEEDED
