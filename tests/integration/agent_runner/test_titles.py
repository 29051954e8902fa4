"""Titles by the whole process: one model call after the run, which nobody waits for and whose failure harms nothing."""

import pytest
from runner_world import World
from weft.runs.v1 import run_pb2, run_queue_service_pb2
from weft_testkit.run_queue import FakeRun, FakeRunQueue


async def titled(world: World, run: FakeRun) -> FakeRun:
    await world.queue.until(lambda: bool(run.titles))
    return run


@pytest.mark.row("A3")
async def test_title_is_offered_after_the_run_with_what_it_used(world: World) -> None:
    world.agent("scripted:tag=title")
    prices = '{"scripted:tag=title": {"input": 2, "output": 2}}'
    async with world.runner(titles=True, model_prices=prices):
        run = await titled(world, world.queue.add_run("How do I prune roses?", wants_title=True))
    (offered,) = run.titles
    assert offered.title == "About: How do I prune roses?"
    assert offered.model == "scripted:tag=title"
    assert offered.usage.input_tokens > 0
    assert offered.usage.output_tokens > 0
    assert offered.cost_micros == (offered.usage.input_tokens + offered.usage.output_tokens) * 2
    assert run.state == run_pb2.RUN_STATE_SUCCEEDED
    assert run.usage.model_calls == 1, "the run's own usage is what it was when it ended"
    answer, title = world.model.log.find(model="scripted:tag=title")
    assert answer.end_time is not None
    assert answer.end_time <= title.start_time


@pytest.mark.parametrize(("titles", "wants_title"), [(False, True), (True, False)])
async def test_no_title_is_made_where_none_is_wanted(world: World, titles: bool, wants_title: bool) -> None:
    world.agent("scripted:tag=no-title")
    async with world.runner(titles=titles):
        await world.ended(world.queue.add_run("first", wants_title=wants_title))
        await world.ended(world.queue.add_run("second", wants_title=wants_title))
    assert world.queue.calls["OfferTitle"] == 0
    assert len(world.model.log.find(model="scripted:tag=no-title")) == 2


async def test_run_that_is_superseded_in_the_moment_of_its_success_gets_no_title(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = world.queue.add_run("hello", wants_title=True)
    write = FakeRunQueue._commit

    def merged_first(queue: FakeRunQueue, entry: run_queue_service_pb2.CommitEntry) -> object:
        if entry.transition.HasField("succeed") and entry.run_id == run.run_id:
            run.successor, run.stop_requested = "run_01h455vb4pex5vsknk084sn02q", True
        return write(queue, entry)

    monkeypatch.setattr(FakeRunQueue, "_commit", merged_first)
    world.agent("scripted:tag=superseded")
    async with world.runner(titles=True):
        await world.ended(run)
        await world.ended(world.queue.add_run("and on"))
    assert run.state == run_pb2.RUN_STATE_SUPERSEDED
    assert len(world.model.log.find(model="scripted:tag=superseded")) == 2, "a call for nothing would be paid for"


async def test_failed_run_gets_no_title(world: World) -> None:
    world.agent("scripted:status=400")
    async with world.runner(titles=True):
        run = await world.ended(world.queue.add_run("hello", wants_title=True))
    assert run.state == run_pb2.RUN_STATE_FAILED
    assert world.queue.calls["OfferTitle"] == 0


@pytest.mark.row("A3")
async def test_failure_of_a_title_is_nobodys(world: World) -> None:
    """The first call of each conversation fails: that of the run is tried again, that of the title is not."""
    world.agent("scripted:status=500,fail_first=1,tag=bad-title")
    async with world.runner(titles=True):
        run = await world.ended(world.queue.add_run("hello", wants_title=True))
        await world.model.log.wait_until(lambda calls: len(calls) == 3 and calls[-1].ending is not None)
        world.agent("scripted")
        after = await world.ended(world.queue.add_run("and on"))
    assert {run.state, after.state} == {run_pb2.RUN_STATE_SUCCEEDED}
    assert run.titles == []


async def test_title_that_cannot_be_offered_is_left(world: World) -> None:
    world.queue.away_methods.add("OfferTitle")
    world.agent("scripted")
    async with world.runner(titles=True):
        run = world.queue.add_run("hello", wants_title=True)
        await world.ended(run)
        await world.queue.until(lambda: world.queue.calls["OfferTitle"] > 0)
        after = await world.ended(world.queue.add_run("and on"))
    assert {run.state, after.state} == {run_pb2.RUN_STATE_SUCCEEDED}
    assert world.queue.calls["OfferTitle"] == 1


async def test_title_holds_no_slot_of_a_run_and_no_stop_of_the_process(world: World) -> None:
    world.agent("scripted:ttft=2,tag=slow-title")
    async with world.runner(titles=True, max_runs=1):
        first = await world.ended(world.queue.add_run("first", wants_title=True))
        second = await world.ended(world.queue.add_run("second", wants_title=True))
        assert first.titles == [] or second.titles == [], "each title takes as long as a run"
    assert second.titles == [], "the process has stopped before it was made"


async def test_model_that_goes_on_for_long_is_cut_off(world: World) -> None:
    world.agent("scripted:count=5000,tag=rambling")
    async with world.runner(titles=True):
        run = await titled(world, world.queue.add_run("hello", wants_title=True))
    (offered,) = run.titles
    assert 0 < len(offered.title) <= 80
    assert not offered.HasField("usage"), "nobody knows what it used"
