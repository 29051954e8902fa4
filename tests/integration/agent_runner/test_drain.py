"""Giving runs back, and looking into a runner."""

import asyncio

from runner_world import World
from weft.runner.v1 import agent_runner_service_pb2 as runner_pb
from weft.runs.v1 import run_pb2


async def test_runs_are_given_back_unended_when_a_runner_is_drained(world: World) -> None:
    world.agent("scripted:tps=50,count=1000")
    async with world.runner() as runner, runner.stub() as stub:
        runs = [world.queue.add_run() for _ in range(3)]
        for run in runs:
            await world.shows(run, "message_delta")
        drained = await stub.Drain(runner_pb.DrainRequest())
        seqs = [run.last_seq for run in runs]
        later = world.queue.add_run()
        await asyncio.sleep(1.2)
        state = await stub.GetRunner(runner_pb.GetRunnerRequest())
    assert drained.released == 3
    assert [run.last_seq for run in runs] == seqs
    assert all(run.state == run_pb2.RUN_STATE_RUNNING and not run.owner for run in runs)
    assert not any(run.messages for run in runs)
    assert later.state == run_pb2.RUN_STATE_QUEUED
    assert (state.is_draining, state.active_runs) == (True, 0)


async def test_runs_are_given_back_when_a_runner_is_told_to_stop(world: World) -> None:
    world.agent("scripted:silent=0")
    async with world.runner() as runner:
        run = world.queue.add_run()
        await world.model.log.wait_until(lambda calls: len(calls) == 1)
        runner.program.stopping.set()
        await world.queue.until(lambda: not run.owner)
    assert run.state == run_pb2.RUN_STATE_RUNNING
    assert run.attempt == 0


async def test_runner_tells_what_it_does_when_it_is_asked(world: World) -> None:
    world.agent("scripted:silent=3")
    async with world.runner(max_runs=7) as runner, runner.stub() as stub:
        run = world.queue.add_run()
        await world.shows(run, "message_delta")
        active = await stub.ListActiveRuns(runner_pb.ListActiveRunsRequest())
        state = await stub.GetRunner(runner_pb.GetRunnerRequest())
    assert [(each.run_id, each.epoch, each.activity) for each in active.runs] == [(run.run_id, 1, "model call 1")]
    assert (state.active_runs, state.max_runs, state.is_draining) == (1, 7, False)
    assert state.runner_id in world.queue.runners
    assert 0 < state.trusted_for.ToMilliseconds() <= 3000


async def test_no_more_runs_are_claimed_than_there_are_slots(world: World) -> None:
    world.agent("scripted:tps=50,count=30")
    runs = [world.queue.add_run() for _ in range(6)]
    async with world.runner(max_runs=2) as runner, runner.stub() as stub:
        await world.shows(runs[0], "message_delta")
        active = await stub.ListActiveRuns(runner_pb.ListActiveRunsRequest())
        assert len(active.runs) == 2
        for run in runs:
            await world.ended(run)
