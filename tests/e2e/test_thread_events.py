"""A thread in several tabs: whatever happens in it, and whenever they come back, all see its log."""

import asyncio
import random
from typing import Any

import pytest
from public_api import Api, type_of
from thread_story import Story, Tab, a_seed, thread_events
from weft.gateway.v1 import agent_gateway_service_pb2 as pb
from weft.runs.v1 import run_pb2


async def nothing() -> None:
    return None


@pytest.mark.row("B5")
async def test_two_tabs_that_come_back_at_random_see_the_whole_log_of_five_runs(api: Api) -> None:
    rng = a_seed()
    story = await Story.begin(api)
    tabs = [Tab(api, story.thread_id, random.Random(rng.random())) for _ in range(2)]
    async with asyncio.timeout(90), asyncio.TaskGroup() as group:
        for tab in tabs:
            group.create_task(tab.watch())
        await story.five_runs_and_more(nothing)
        await story.end(tabs)
    for tab in tabs:
        api.recordings.watched_thread(story.thread_id, tab.items)  # the oracle compares them with the log
    assert all(tab.reconnects for tab in tabs)
    first, second = (thread_events(tab) for tab in tabs)
    assert first == second
    kinds = [event.WhichOneof("payload") for event in first]
    assert kinds.count("run_queued") == kinds.count("run_ended") == len(story.runs) == 6
    assert kinds.count("run_started") == 5, "one never started"
    assert kinds[-1] == "thread_deleted"
    ends = [type_of(event.run_ended.terminal_event) for event in first if event.HasField("run_ended")]
    assert sorted(ends) == sorted(["run_succeeded"] * 4 + ["run_cancelled", "run_superseded"])


@pytest.mark.row("B5")
async def test_a_tab_that_opens_late_is_shown_the_run_that_goes_on_and_all_that_follows(api: Api) -> None:
    story = await Story.begin(api)
    run = await story.say("before")
    whole = Tab(api, story.thread_id, random.Random(0), drop_chance=0)
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(whole.watch())
        await whole.has_run_event.wait()
        late = Tab(api, story.thread_id, random.Random(0), drop_chance=0)
        request = pb.ThreadEventsRequest(thread_id=story.thread_id, from_now=True)
        call = api.gateway.ThreadEvents(request, metadata=api.metadata)
        first = await call.read()
        call.cancel()
        assert first.cursor.run_id == run
        late.places.append((first.cursor, 0))
        group.create_task(late.watch())
        await story.ended(run)
        await story.ended(await story.say("after"))
        await story.end([whole, late])
    api.recordings.watched_thread(story.thread_id, whole.items)
    of_run = [item.run_event for item in late.items if item.run_event.run_id == run]
    assert of_run == events_of(whole, run)
    assert [event.seq for event in thread_events(late)] == list(
        range(first.cursor.thread_seq + 1, thread_events(whole)[-1].seq + 1)
    )


def events_of(tab: Tab, run_id: str) -> list[Any]:
    return [item.run_event for item in tab.items if item.run_event.run_id == run_id]


async def test_runs_in_line_are_told_one_after_the_other(api: Api) -> None:
    story = await Story.begin(api)
    run = await story.say("first")
    queued = await story.say("second", busy_strategy=run_pb2.BUSY_STRATEGY_ENQUEUE)
    await story.cancel(run)
    tab = Tab(api, story.thread_id, random.Random(0), drop_chance=0)
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(tab.watch())
        await story.ended(queued)
        await story.end([tab])
    api.recordings.watched_thread(story.thread_id, tab.items)
    ends = {event.run_ended.run_id: type_of(event.run_ended.terminal_event) for event in thread_events(tab)}
    assert (ends[run], ends[queued]) == ("run_cancelled", "run_succeeded")
