"""The log of a thread on a real PostgreSQL: what is written when, how it is read, and who is told."""

from uuid import UUID, uuid4

import pytest
from oracle import assert_clean
from runs_world import World, answer, delta, new_id, stop
from runs_world import append_to as append
from weft.runs.v1 import thread_event_pb2 as pb
from weft_core.errors import NotFoundError, OutOfRangeError
from weft_core.ids import format_id
from weft_threads.events.thread_log import ThreadLog
from weft_threads.runs.commit import Entry
from weft_threads.runs.end import delete_thread
from weft_threads.threads import store


async def read(
    world: World, thread: UUID, after: int | None = 0, *, serve_deleted: bool = False
) -> tuple[list[pb.ThreadEvent], UUID | None]:
    page = await ThreadLog(world.database).read(
        world.tenant, thread, after, with_open_run=True, serve_deleted=serve_deleted
    )
    return [pb.ThreadEvent.FromString(event) for event in page.events], page.open_run


def types(events: list[pb.ThreadEvent]) -> list[str]:
    return [str(event.WhichOneof("payload")) for event in events]


def rings(world: World, thread: UUID) -> int:
    return world.wires.frames.count((format_id("thr", thread), b""))


async def a_runner(world: World) -> UUID:
    return await world.queue.register("test")


async def test_a_run_is_marked_when_it_is_made_starts_and_ends_and_each_time_watchers_are_told(world: World) -> None:
    made = await world.say("hello")
    assert rings(world, made.thread_id) == 1
    claimed = await world.claim(await a_runner(world))
    assert claimed is not None
    assert rings(world, made.thread_id) == 2
    await world.commit(Entry(append(claimed, [delta(claimed, "a"), delta(claimed, "b", 1)])))
    assert rings(world, made.thread_id) == 2, "deltas are the run's own matter"
    await world.commit(answer(claimed, seq=claimed.last_seq + 2))
    assert rings(world, made.thread_id) == 3
    events, open_run = await read(world, made.thread_id)
    assert open_run is None
    assert types(events) == ["message_created", "run_queued", "run_started", "run_ended"]
    assert [event.seq for event in events] == [1, 2, 3, 4]
    run_id = format_id("run", made.run_id)
    message = events[0].message_created.message
    assert (message.message_id, message.parts[0].text) == (format_id("msg", made.message_id), "hello")
    assert (events[1].run_queued.run_id, events[1].run_queued.message_id) == (run_id, message.message_id)
    assert (events[2].run_started.run_id, events[2].run_started.run_seq) == (run_id, 2)
    terminal = events[3].run_ended.terminal_event
    assert (events[3].run_ended.run_id, terminal.run_id) == (run_id, run_id)
    assert (terminal.WhichOneof("payload"), terminal.seq) == (
        "run_succeeded",
        (await world.run(made.run_id))["last_seq"],
    )
    await assert_clean(world.dsn)


@pytest.mark.parametrize(("after", "is_open"), [(0, False), (1, False), (2, False), (3, True), (4, True), (6, True)])
async def test_the_open_run_is_the_one_between_its_marks(world: World, after: int, is_open: bool) -> None:
    made = await world.say("hello")
    claimed = await world.claim(await a_runner(world))
    assert claimed is not None
    queued = await world.say("and again", made.thread_id)
    await world.ending.cancel(world.tenant, queued.run_id)
    events, open_run = await read(world, made.thread_id, after)
    assert types((await read(world, made.thread_id))[0])[3:] == ["message_created", "run_queued", "run_ended"]
    assert open_run == (made.run_id if is_open else None)
    assert [event.seq for event in events] == list(range(after + 1, 7))
    assert await read(world, made.thread_id, None) == ([], made.run_id)
    await world.ending.cancel(world.tenant, made.run_id)
    await world.commit(stop(claimed))
    assert await read(world, made.thread_id, 7) == ([], None)
    assert (await read(world, made.thread_id, None))[1] is None


async def test_a_merged_thread_marks_each_run_and_each_message(world: World) -> None:
    first = await world.say("one")
    runner = await a_runner(world)
    claimed = await world.claim(runner)
    assert claimed is not None
    second = await world.say("two", first.thread_id, "merge")
    third = await world.say("three", first.thread_id, "merge")
    await world.ending.cancel(world.tenant, first.run_id)
    await world.commit(stop(claimed))
    last = await world.claim(runner)
    assert last is not None
    await world.commit(answer(last))
    events, _ = await read(world, first.thread_id)
    ended = [event.run_ended for event in events if event.HasField("run_ended")]
    assert [each.run_id for each in ended] == [
        format_id("run", run) for run in (second.run_id, first.run_id, third.run_id)
    ]
    assert [each.terminal_event.WhichOneof("payload") for each in ended] == ["run_superseded"] * 2 + ["run_succeeded"]
    assert types(events).count("run_started") == 2
    assert types(events).count("message_created") == 3
    await assert_clean(world.dsn)


async def test_the_log_comes_in_pages_by_count_and_by_bytes(world: World) -> None:
    made = await world.say("hello")
    text = "x" * 400_000
    for _ in range(4):
        queued = await world.say(text, made.thread_id)
        await world.ending.cancel(world.tenant, queued.run_id)
    seen: list[int] = []
    pages = 0
    while True:
        events, _ = await read(world, made.thread_id, len(seen))
        if not events:
            break
        pages += 1
        assert sum(len(event.SerializeToString()) for event in events) <= 1_100_000
        seen += [event.seq for event in events]
    assert seen == list(range(1, 2 + 4 * 3 + 1))
    assert pages >= 2


async def test_a_deleted_thread_says_so_to_those_who_watched_it_and_is_gone_for_others(world: World) -> None:
    made = await world.say("hello")
    claimed = await world.claim(await a_runner(world))
    assert claimed is not None
    told = rings(world, made.thread_id)
    await delete_thread(world.database, world.announcer, world.tenant, made.thread_id)
    assert rings(world, made.thread_id) > told
    with pytest.raises(NotFoundError, match="THREAD_NOT_FOUND"):
        await read(world, made.thread_id)
    events, _ = await read(world, made.thread_id, 3, serve_deleted=True)
    assert types(events) == ["run_ended", "thread_deleted"]
    page = await ThreadLog(world.database).read(
        world.tenant, made.thread_id, 5, with_open_run=False, serve_deleted=True
    )
    assert (page.is_deleted, page.last_seq, page.events) == (True, 5, ())
    await assert_clean(world.dsn)


async def test_a_payload_that_was_stored_is_shown_as_it_is(world: World) -> None:
    made = await world.say("hello")
    payload = pb.ThreadTitleUpdated(title="Émile").SerializeToString()
    await world.database.transact(
        world.tenant, lambda tx: store.log_event(tx, made.thread_id, "title.updated", payload=payload)
    )
    events, _ = await read(world, made.thread_id, 2)
    assert [event.title_updated.title for event in events] == ["Émile"]


async def test_who_reads_beyond_the_end_is_told_where_it_is_and_unknown_threads_are_unknown(world: World) -> None:
    made = await world.say("hello")
    with pytest.raises(OutOfRangeError) as refused:
        await read(world, made.thread_id, 3)
    assert refused.value.metadata == {"last_seq": "2"}
    for thread in (new_id(), uuid4()):
        with pytest.raises(NotFoundError, match="THREAD_NOT_FOUND"):
            await read(world, thread, serve_deleted=True)
    log = ThreadLog(world.database)
    keys = [(world.tenant, made.thread_id), (new_id(), made.thread_id), (world.tenant, new_id())]
    assert await log.heads(keys) == [(made.thread_id, 2)]


async def test_a_repeated_request_tells_nobody(world: World) -> None:
    made = await world.say("hello", request_id="once")
    await world.say("hello", request_id="once")
    assert rings(world, made.thread_id) == 1
