"""The life of runs on a real PostgreSQL: every path through the schema's functions."""

import asyncio
from datetime import timedelta
from itertools import product
from uuid import UUID

import asyncpg
import pytest
from oracle import assert_clean
from runs_world import World, answer, append_to, calls_content, delta, new_id, stop, text_content
from weft.runs.v1 import event_pb2
from weft_core.errors import FailedPreconditionError, InvalidArgumentError, NotFoundError, ResourceExhaustedError
from weft_threads.events.frames import encode_event
from weft_threads.runs.commit import Entry
from weft_threads.runs.end import delete_thread
from weft_threads.runs.states import NEXT, RunState
from weft_threads.runs.transcript import Text


@pytest.mark.parametrize(("before", "after"), [pair for pair in product(RunState, RunState) if pair[0] != pair[1]])
async def test_schema_lets_a_run_take_exactly_the_steps_of_the_table(
    world: World, before: RunState, after: RunState
) -> None:
    made = await world.say("hello")
    await world.admin.execute("ALTER TABLE runs DISABLE TRIGGER guard_run_state")
    shape = (
        "end_time = CASE WHEN {0} IN ('queued', 'running', 'waiting') THEN NULL ELSE weft_now() END, "
        "ready_time = NULL, deadline_time = NULL"
    )
    set_state = f"UPDATE runs SET state = $1, superseded_by = run_id, {shape.format('$1::text')} WHERE run_id = $2"
    await world.admin.execute(set_state, before.value, made.run_id)
    await world.admin.execute("ALTER TABLE runs ENABLE TRIGGER guard_run_state")
    if after in NEXT[before]:
        await world.admin.execute(set_state, after.value, made.run_id)
        assert (await world.run(made.run_id))["state"] == after.value
    else:
        with pytest.raises(asyncpg.PostgresError) as refused:
            await world.admin.execute(set_state, after.value, made.run_id)
        assert refused.value.sqlstate == "WF003"


@pytest.mark.row("A1", "B4")
async def test_initiate_stores_message_and_run_and_rings_when_the_thread_is_idle(world: World) -> None:
    made = await world.say("hello  there\nfriend")
    assert (await world.run(made.run_id))["state"] == "queued"
    assert made.queue_position == 0
    assert not made.is_merged
    assert world.wires.rings == 1
    thread = await world.row("SELECT * FROM threads WHERE thread_id = $1", made.thread_id)
    assert thread["title"] == "hello there friend"
    await assert_clean(world.dsn, all_ended=False)


@pytest.mark.row("A5")
async def test_initiate_knows_the_first_event_of_the_run_that_it_made(world: World) -> None:
    made = await world.say("hello", request_id="r")
    event = made.first_event(world.tenant)
    assert event is not None
    page = await world.log.read(world.tenant, made.run_id, 0, False)
    assert page.events[:1] == (encode_event(event),)
    again = await world.say("hello", request_id="r")
    assert again.run_id == made.run_id
    assert again.first_event(world.tenant) is None


async def test_initiate_makes_one_run_when_a_hundred_callers_send_the_same_request(world: World) -> None:
    made = await asyncio.gather(*(world.say("hi", request_id="r") for _ in range(100)))
    assert len({each.run_id for each in made}) == 1
    assert len(set(made)) == 1
    assert await world.admin.fetchval("SELECT count(*) FROM runs") == 1
    with pytest.raises(InvalidArgumentError, match="REQUEST_ID_REUSED"):
        await world.say("other", request_id="r")


async def test_initiate_leaves_no_row_when_it_is_refused(world: World) -> None:
    await world.admin.execute("UPDATE tenants SET max_threads = 0")
    with pytest.raises(ResourceExhaustedError, match="THREAD_LIMIT"):
        await world.say("hi", request_id="r")
    for table in ("requests", "threads", "messages", "runs", "run_events"):
        assert await world.admin.fetchval(f"SELECT count(*) FROM {table}") == 0, table
    await world.admin.execute("UPDATE tenants SET max_threads = 1")
    await world.say("hi", request_id="r")


async def test_initiate_refuses_with_the_reason_of_each_limit(world: World) -> None:
    await world.admin.execute("UPDATE tenants SET max_queued_runs_per_thread = 2, max_active_runs = 1")
    first = await world.say("1")
    await world.say("2", first.thread_id)
    with pytest.raises(ResourceExhaustedError, match="THREAD_QUEUE_FULL"):
        await world.say("3", first.thread_id)
    with pytest.raises(FailedPreconditionError, match="THREAD_BUSY") as busy:
        await world.say("3", first.thread_id, "reject")
    assert busy.value.metadata["run_id"].startswith("run_")
    runner = await world.queue.register("test")
    assert await world.claim(runner)
    with pytest.raises(ResourceExhaustedError, match="ACTIVE_RUN_LIMIT"):
        await world.say("elsewhere")
    for wrong in ({"thread": new_id()}, {"agent_id": new_id()}, {"project_id": new_id()}):
        await world.admin.execute("UPDATE tenants SET max_active_runs = 10")
        with pytest.raises(NotFoundError):
            await world.say("x", **wrong)  # type: ignore[arg-type]


@pytest.mark.row("D2")
async def test_claim_gives_each_run_to_one_of_many_runners_in_turn_order(world: World) -> None:
    threads = [(await world.say(f"t{n}")).thread_id for n in range(5)]
    for _ in range(4):
        await asyncio.gather(*(world.say("next", thread) for thread in threads))
    runners = [await world.queue.register(f"r{n}") for n in range(8)]
    done: list[UUID] = []

    async def work(runner: UUID) -> None:
        while len(done) < 25:
            claimed = await world.claim(runner)
            if claimed is None:
                await asyncio.sleep(0.01)
                continue
            result = await world.commit(answer(claimed))
            assert result.state == "succeeded"
            done.append(claimed.run["run_id"])

    async with asyncio.timeout(30):
        await asyncio.gather(*(work(runner) for runner in runners))
    assert len(set(done)) == len(done) == 25
    for thread in threads:
        # By the database's clock: a commit is seen by the next claim before its own caller hears of it.
        rows = await world.admin.fetch("SELECT turn FROM runs WHERE thread_id = $1 ORDER BY start_time", thread)
        assert [row["turn"] for row in rows] == [1, 2, 3, 4, 5]
    await assert_clean(world.dsn)


async def test_commit_writes_once_when_the_same_batch_comes_again(world: World) -> None:
    await world.say("hi")
    claimed = await world.claim(await world.queue.register("r"))
    assert claimed is not None
    entry = Entry(
        append_to(claimed, [delta(claimed, "hel")]),
        step_end=(1, 1, False, None, None, None, "cut", True, "m", None),
        begin_step=(1, 2),
    )
    first = await world.commit(entry)
    again = await world.commit(entry)
    assert first == again
    assert first.begun_message is not None
    plain = Entry(append_to(claimed, [delta(claimed, "a"), delta(claimed, "b")], seq=first.last_seq))
    assert (await world.commit(plain)).last_seq == (await world.commit(plain)).last_seq == first.last_seq + 2


@pytest.mark.row("F2")
async def test_commit_writes_nothing_when_the_run_was_taken_over(world: World) -> None:
    made = await world.say("hi")
    zombie = await world.claim(await world.queue.register("zombie"))
    assert zombie is not None
    await world.move_clock(timedelta(seconds=5))
    successor = await world.claim(await world.queue.register("alive"))
    assert successor is not None
    assert successor.run["epoch"] == 2
    assert (successor.begun_step, successor.begun_attempt) == (1, 2)
    before = await world.types(made.run_id)
    assert before[-3:] == ["run.resumed", "message.discarded", "step.started"]
    for entry in (Entry(append_to(zombie, [delta(zombie, "x")])), answer(zombie), stop(zombie)):
        result = await world.commit(entry)
        assert result.epoch == 2
    assert await world.types(made.run_id) == before
    assert (await world.commit(answer(successor))).state == "succeeded"
    await assert_clean(world.dsn)


async def test_takeover_waits_for_a_lease_when_the_reaper_was_away(world: World) -> None:
    await world.say("hi")
    assert await world.claim(await world.queue.register("dead"))
    await world.admin.execute("UPDATE clock SET shift = interval '1 minute'")
    await world.reaper.reap()
    other = await world.queue.register("alive")
    assert await world.claim(other) is None, "an outage is no reason to repeat model calls"
    await world.move_clock(timedelta(seconds=4.1))
    await world.queue.heartbeat(other)
    assert await world.claim(other) is not None


async def test_takeover_brings_the_pending_tool_calls_when_the_model_turn_was_stored(world: World) -> None:
    await world.say("hi")
    claimed = await world.claim(await world.queue.register("dead"))
    assert claimed is not None
    stored = Entry(
        append_to(claimed),
        step_end=(1, 1, True, 1, 1, 0, "", False, "m", None),
        messages=((claimed.message_id, 1, "assistant", calls_content("a", "b"), False, None, None),),
    )
    await world.commit(stored)
    await world.move_clock(timedelta(seconds=5))
    successor = await world.claim(await world.queue.register("alive"))
    assert successor is not None
    assert successor.begun_step is None
    assert successor.finished_steps == 1
    assert [each.call.name for each in successor.transcript.pending] == ["a", "b"]


async def test_release_hands_over_at_once_and_is_no_attempt(world: World) -> None:
    await world.say("hi")
    runner = await world.queue.register("stopping")
    claimed = await world.claim(runner)
    assert claimed is not None
    owned = await world.queue.heartbeat(runner)
    world.wires.rings = 0
    assert await world.queue.release(runner, owned) == 1
    assert world.wires.rings == 1
    successor = await world.claim(await world.queue.register("alive"))
    assert successor is not None
    assert successor.run["attempt"] == 1
    assert successor.run["epoch"] == 2


@pytest.mark.row("D3", "G3")
async def test_merge_answers_twenty_messages_in_one_run_when_they_come_while_one_runs(world: World) -> None:
    first = await world.say("m0")
    runner = await world.queue.register("r")
    running = await world.claim(runner)
    assert running is not None
    made = [await world.say(f"m{n}", first.thread_id, "merge") for n in range(1, 20)]
    assert all(each.is_merged and each.queue_position == 1 for each in made)
    assert world.wires.stops, "the runner is told"
    result = await world.commit(stop(running))
    assert result.state == "superseded"
    successor = await world.claim(runner)
    assert successor is not None
    assert successor.run["run_id"] == made[-1].run_id
    (joined,) = successor.transcript.messages[0].parts
    assert isinstance(joined, Text)
    assert joined.text == "\n---\n".join(f"m{n}" for n in range(20))
    assert (await world.run(first.run_id))["superseded_by"] == made[-1].run_id
    await world.commit(answer(successor))
    await assert_clean(world.dsn)


async def test_merge_is_a_plain_run_when_the_other_had_ended(world: World) -> None:
    first = await world.say("a")
    runner = await world.queue.register("r")
    claimed = await world.claim(runner)
    assert claimed is not None
    await world.commit(answer(claimed))
    second = await world.say("b", first.thread_id, "merge")
    assert not second.is_merged
    assert second.queue_position == 0


async def test_answer_of_a_superseded_run_is_incomplete_when_it_comes_too_late(world: World) -> None:
    first = await world.say("a")
    claimed = await world.claim(await world.queue.register("r"))
    assert claimed is not None
    await world.say("b", first.thread_id, "merge")
    assert (await world.commit(answer(claimed))).state == "superseded"
    assert (await world.types(first.run_id))[-2:] == ["message.incomplete", "run.superseded"]
    assert await world.admin.fetchval("SELECT is_incomplete FROM messages WHERE role = 'assistant'")


async def test_stopped_run_is_cancelled_when_its_successor_was(world: World) -> None:
    first = await world.say("a")
    claimed = await world.claim(await world.queue.register("r"))
    assert claimed is not None
    second = await world.say("b", first.thread_id, "merge")
    await world.ending.cancel(world.tenant, second.run_id)
    assert (await world.commit(stop(claimed))).state == "cancelled"
    await assert_clean(world.dsn)


@pytest.mark.row("G2")
async def test_cancel_ends_a_queued_run_at_once_and_readies_the_next(world: World) -> None:
    first = await world.say("a")
    second = await world.say("b", first.thread_id)
    await world.ending.cancel(world.tenant, first.run_id)
    assert (await world.run(first.run_id))["state"] == "cancelled"
    assert (await world.run(second.run_id))["ready_time"] is not None
    await world.ending.cancel(world.tenant, first.run_id)  # twice is the same as once
    with pytest.raises(NotFoundError):
        await world.ending.cancel(world.tenant, new_id())


async def test_initiate_is_refused_when_its_request_was_cancelled_before_it_came(world: World) -> None:
    assert (await world.ending.cancel_request(world.tenant, "r")).run_id is None
    with pytest.raises(FailedPreconditionError, match="REQUEST_CANCELLED"):
        await world.say("hi", request_id="r")
    made = await world.say("hi", request_id="s")
    assert (await world.ending.cancel_request(world.tenant, "s")).run_id == made.run_id
    assert (await world.run(made.run_id))["state"] == "cancelled"


async def test_reaper_ends_a_run_and_keeps_what_was_seen_when_its_runner_does_not_stop_it(world: World) -> None:
    made = await world.say("hi")
    claimed = await world.claim(await world.queue.register("hung"))
    assert claimed is not None
    result = await world.commit(Entry(append_to(claimed, [delta(claimed, "hel"), delta(claimed, "lo", 3)])))
    await world.ending.cancel(world.tenant, made.run_id)
    await world.reaper.reap()
    assert (await world.run(made.run_id))["state"] == "running", "within the grace"
    await world.move_clock(timedelta(seconds=2.1))
    await world.reaper.reap()
    run = await world.run(made.run_id)
    assert run["state"] == "cancelled"
    assert run["epoch"] == 2
    message = await world.row("SELECT * FROM messages WHERE role = 'assistant'")
    assert message["is_incomplete"]
    assert message["content"] == text_content("hello")
    assert message["message_id"] == claimed.message_id
    late = await world.commit(answer(claimed, seq=result.last_seq))
    assert late.epoch == 2
    assert (await world.types(made.run_id))[-2:] == ["message.incomplete", "run.cancelled"]
    await assert_clean(world.dsn)


async def test_reaper_times_out_by_the_limit_of_each_state(world: World) -> None:
    queued = await world.say("queued")
    await world.move_clock(timedelta(hours=24, seconds=1))
    await world.reaper.reap()
    assert (await world.run(queued.run_id))["state"] == "timed_out"
    running = await world.say("running")
    assert await world.claim(await world.queue.register("r"))
    await world.move_clock(timedelta(seconds=303))
    await world.reaper.reap()
    assert (await world.run(running.run_id))["state"] == "timed_out"
    rows = await world.admin.fetch("SELECT payload FROM run_events WHERE is_terminal ORDER BY create_time")
    causes = [event_pb2.RunTimedOut.FromString(row["payload"]).cause for row in rows]
    assert causes == [event_pb2.TIMEOUT_CAUSE_QUEUE, event_pb2.TIMEOUT_CAUSE_RUN]


async def test_waiting_run_keeps_its_turn_and_its_running_time_until_it_is_woken(world: World) -> None:
    first = await world.say("a")
    second = await world.say("b", first.thread_id)
    runner = await world.queue.register("r")
    claimed = await world.claim(runner)
    assert claimed is not None
    await world.move_clock(timedelta(seconds=100))
    await world.queue.heartbeat(runner)
    park = ("waiting", b"", None, None, "provider_rate", timedelta(seconds=90), None)
    cut = (1, 1, False, None, None, None, "429", False, "m", None)
    parked = Entry(append_to(claimed), step_end=cut, transition=park)
    assert (await world.commit(parked)).state == "waiting"
    assert await world.claim(runner) is None, "a waiting run blocks its thread"
    await world.move_clock(timedelta(seconds=91))
    await world.queue.heartbeat(runner)
    await world.reaper.reap()
    again = await world.claim(runner)
    assert again is not None
    assert again.run["run_id"] == first.run_id
    assert timedelta(seconds=195) < again.remaining < timedelta(seconds=201)
    assert (again.begun_step, again.begun_attempt) == (1, 2)
    assert (await world.run(second.run_id))["ready_time"] is None


async def test_delete_ends_all_runs_of_the_thread_and_hides_it(world: World) -> None:
    first = await world.say("a")
    await world.say("b", first.thread_id)
    claimed = await world.claim(await world.queue.register("r"))
    assert claimed is not None
    await world.commit(Entry(append_to(claimed, [delta(claimed, "par")])))
    await delete_thread(world.database, world.announcer, world.tenant, first.thread_id)
    rows = await world.admin.fetch("SELECT state FROM runs")
    assert [row["state"] for row in rows] == ["cancelled", "cancelled"]
    with pytest.raises(NotFoundError):
        await world.say("c", first.thread_id)
    with pytest.raises(NotFoundError):
        await world.log.read(world.tenant, first.run_id, 0, serve_deleted=False)
    page = await world.log.read(world.tenant, first.run_id, 0, serve_deleted=True)
    assert page.is_ended
    assert event_pb2.RunEvent.FromString(page.events[-1]).run_cancelled.cause == 2
    assert await world.admin.fetchval("SELECT sum(threads) FROM thread_counts") == 0
    await assert_clean(world.dsn)


async def test_page_of_the_log_ends_by_bytes_and_the_next_goes_on_where_it_ended(world: World) -> None:
    made = await world.say("hi")
    claimed = await world.claim(await world.queue.register("r"))
    assert claimed is not None
    await world.commit(Entry(append_to(claimed, [delta(claimed, "x" * 300_000) for _ in range(8)])))
    seen: list[int] = []
    pages = 0
    while len(seen) < 11:
        page = await world.log.read(world.tenant, made.run_id, len(seen), serve_deleted=False)
        assert sum(map(len, page.events)) < 1_500_000
        seen += [event_pb2.RunEvent.FromString(data).seq for data in page.events]
        pages += 1
    assert seen == list(range(1, 12))
    assert pages >= 2


async def test_context_leaves_out_whole_groups_when_it_is_full(world: World) -> None:
    """Two merged turns are larger than the window: neither of them is in the context of the next run."""
    runner = await world.queue.register("r")
    first = await world.say("a" * 300_000)
    running = await world.claim(runner)
    assert running is not None
    await world.say("b" * 200_000, first.thread_id, "merge")
    await world.commit(stop(running))
    merged = await world.claim(runner)
    assert merged is not None
    await world.commit(answer(merged, "both"))
    await world.say("c", first.thread_id)
    last = await world.claim(runner)
    assert last is not None
    texts = [part.text for m in last.transcript.messages for part in m.parts if isinstance(part, Text)]
    assert texts == ["c"]
