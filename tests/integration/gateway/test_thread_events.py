"""ThreadEvents: whatever happens round it, a watcher gets the thread's log and its runs, once and in order."""

import asyncio
from typing import Any
from uuid import UUID

import grpc
import pytest
from integration.gateway.streams import until
from weft.gateway.v1 import agent_gateway_service_pb2 as pb
from weft_core.ids import format_id
from weft_grpckit.status import from_rpc_error, reason_of
from weft_testkit.fake_upstream import FakeRun, FakeThread, FakeUpstream

TENANT = UUID(int=1)
OTHER_KEY, READER_KEY, THREADS_KEY = "weft_other", "weft_reader", "weft_threads"

# What a response shows: ("run_started", 3) of the thread's log, (run, seq) of a run.
Shown = tuple[str, int]


def shown(response: Any) -> list[Shown]:
    return [
        (str(item.thread_event.WhichOneof("payload")), item.thread_event.seq)
        if item.HasField("thread_event")
        else (item.run_event.run_id, item.run_event.seq)
        for item in response.items
    ]


async def read(call: Any, count: int, seconds: float = 5) -> list[Shown]:
    """Read until at least `count` items came."""
    items: list[Shown] = []
    async with asyncio.timeout(seconds):
        while len(items) < count:
            response = await call.read()
            assert response is not grpc.aio.EOF, f"ended after {items}"
            items += shown(response)
    return items


async def read_all(call: Any, seconds: float = 5) -> list[Shown]:
    items: list[Shown] = []
    async with asyncio.timeout(seconds):
        while (response := await call.read()) is not grpc.aio.EOF:
            items += shown(response)
    return items


async def failure(call: Any, seconds: float = 5) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await read_all(call, seconds)
    return caught.value


class Teller:
    """Tells the life of a thread, upstream."""

    def __init__(self, threads: FakeUpstream) -> None:
        self.threads = threads
        self.thread: FakeThread = threads.add_thread(TENANT, 1)
        self._runs = 0

    def say(self, **terms: Any) -> FakeRun:
        """A message comes, and with it a run."""
        self._runs += 1
        run = self.threads.add_run(TENANT, self._runs)
        self.threads.log(self.thread, message_created={}, **terms)
        self.threads.log(self.thread, run_queued={"run_id": run.run_id}, **terms)
        self.threads.append(run, **terms)
        return run

    def start(self, run: FakeRun, **terms: Any) -> None:
        self.threads.append(run, **terms)
        self.threads.log(self.thread, run_started={"run_id": run.run_id, "run_seq": 2}, **terms)

    def end(self, run: FakeRun, **terms: Any) -> None:
        self.threads.append(run, is_terminal=True, **terms)
        self.threads.log(self.thread, run_ended={"run_id": run.run_id}, **terms)

    def whole_run(self, count: int = 5) -> FakeRun:
        run = self.say()
        self.start(run)
        self.threads.append(run, count - 3)
        self.end(run)
        return run

    def delete(self) -> None:
        self.threads.log(self.thread, thread_deleted={})


@pytest.fixture
def teller(edge: Any) -> Teller:
    return Teller(edge.threads)


def of_run(run: FakeRun, first: int, last: int) -> list[Shown]:
    return [(run.run_id, seq) for seq in range(first, last + 1)]


async def test_a_thread_is_told_from_its_start_with_each_run_between_its_marks(edge: Any, teller: Teller) -> None:
    first = teller.whole_run(120)
    cancelled = teller.say()
    teller.end(cancelled)
    second = teller.whole_run(4)
    call = edge.watch_thread(teller.thread)
    expected = [
        ("message_created", 1),
        ("run_queued", 2),
        ("run_started", 3),
        *of_run(first, 1, 120),
        ("run_ended", 4),
        ("message_created", 5),
        ("run_queued", 6),
        ("run_ended", 7),
        ("message_created", 8),
        ("run_queued", 9),
        ("run_started", 10),
        *of_run(second, 1, 4),
        ("run_ended", 11),
    ]
    assert await read(call, len(expected)) == expected
    call.cancel()


async def test_all_of_it_comes_live_each_item_at_once(edge: Any, teller: Teller) -> None:
    run = teller.say()
    call = edge.watch_thread(teller.thread)
    assert await read(call, 2) == [("message_created", 1), ("run_queued", 2)]
    teller.start(run)
    assert await read(call, 3, seconds=1) == [("run_started", 3), *of_run(run, 1, 2)]
    edge.threads.append(run, 2)
    assert await read(call, 2, seconds=1) == of_run(run, 3, 4)
    edge.threads.log(teller.thread, title_updated={"title": "new"})
    assert await read(call, 1, seconds=1) == [("title_updated", 4)]
    another = teller.say()
    assert await read(call, 2, seconds=1) == [("message_created", 5), ("run_queued", 6)]
    teller.end(run)
    assert await read(call, 2, seconds=1) == [(run.run_id, 5), ("run_ended", 7)]
    teller.start(another)
    assert await read(call, 3, seconds=1) == [("run_started", 8), *of_run(another, 1, 2)]
    call.cancel()


async def test_a_queued_run_that_is_cancelled_while_another_goes_on_is_told_at_once(edge: Any, teller: Teller) -> None:
    run = teller.say()
    teller.start(run)
    call = edge.watch_thread(teller.thread)
    await read(call, 5)
    queued = teller.say()
    teller.end(queued)
    assert await read(call, 3, seconds=1) == [("message_created", 4), ("run_queued", 5), ("run_ended", 6)]
    teller.end(run)
    assert await read(call, 2, seconds=1) == [(run.run_id, 3), ("run_ended", 7)]
    call.cancel()


async def test_every_cursor_goes_on_behind_what_its_response_showed(edge: Any, teller: Teller) -> None:
    for count in (4, 5, 8):
        teller.whole_run(count)
    teller.end(teller.say())
    teller.delete()
    edge.threads.threads[teller.thread.thread_id].is_deleted = False  # so that it can be watched again
    whole = edge.watch_thread(teller.thread)
    items, cursors = [], [pb.ThreadCursor()]
    counts = [0]
    async with asyncio.timeout(5):
        while (response := await whole.read()) is not grpc.aio.EOF:
            items += shown(response)
            cursors.append(response.cursor)
            counts.append(len(items))
    assert len(cursors) > 6
    for cursor, count in zip(cursors[:-1], counts[:-1], strict=True):
        assert await read_all(edge.watch_thread(teller.thread, after=cursor)) == items[count:]


async def test_any_place_in_a_run_is_a_cursor_and_one_without_run_begins_it_anew(edge: Any, teller: Teller) -> None:
    run = teller.whole_run(6)
    for seq in range(7):
        after = pb.ThreadCursor(thread_seq=3, run_id=run.run_id, run_seq=seq)
        call = edge.watch_thread(teller.thread, after=after)
        assert await read(call, 7 - seq) == [*of_run(run, seq + 1, 6), ("run_ended", 4)]
        call.cancel()
    call = edge.watch_thread(teller.thread, after=pb.ThreadCursor(thread_seq=3))
    assert await read(call, 7) == [*of_run(run, 1, 6), ("run_ended", 4)]
    call.cancel()


async def test_from_now_says_where_that_is_and_shows_what_goes_on_from_its_start(edge: Any, teller: Teller) -> None:
    teller.whole_run()
    call = edge.watch_thread(teller.thread, from_now=True)
    first = await call.read()
    assert first.HasField("keepalive")
    assert (first.keepalive.head_seq, first.cursor) == (4, pb.ThreadCursor(thread_seq=4))
    run = teller.say()
    teller.start(run)
    assert await read(call, 5) == [
        ("message_created", 5),
        ("run_queued", 6),
        ("run_started", 7),
        *of_run(run, 1, 2),
    ]
    later = edge.watch_thread(teller.thread, from_now=True)
    assert (await later.read()).cursor == pb.ThreadCursor(thread_seq=7, run_id=run.run_id)
    assert await read(later, 2) == of_run(run, 1, 2)
    for each in (call, later):
        each.cancel()


async def test_a_deleted_thread_ends_the_stream_ok_for_those_who_watched_it_only(edge: Any, teller: Teller) -> None:
    run = teller.say()
    teller.start(run)
    call = edge.watch_thread(teller.thread)
    await read(call, 5)
    teller.end(run)
    teller.delete()
    assert await read_all(call) == [(run.run_id, 3), ("run_ended", 4), ("thread_deleted", 5)]
    assert reason_of(await failure(edge.watch_thread(teller.thread))) == "THREAD_NOT_FOUND"
    await until(lambda: edge.gateway.server.active_calls == 0)
    assert edge.gateway.hub.watched == 0
    await edge.subscriptions_become(0)


async def test_what_was_never_published_is_found_within_a_second_and_a_half(edge: Any, teller: Teller) -> None:
    run = teller.say()
    call = edge.watch_thread(teller.thread)
    await read(call, 2)
    teller.start(run, is_published=False)
    assert await read(call, 3, seconds=1.5) == [("run_started", 3), *of_run(run, 1, 2)]
    teller.end(run, is_published=False)
    assert await read(call, 2, seconds=3) == [(run.run_id, 3), ("run_ended", 4)]
    call.cancel()


async def test_a_watch_goes_on_when_redis_is_killed_and_lives_again_when_it_is_back(edge: Any, teller: Teller) -> None:
    run = teller.say()
    call = edge.watch_thread(teller.thread)
    await read(call, 2)
    await edge.redis.kill()
    teller.start(run)
    assert await read(call, 3, seconds=1.5) == [("run_started", 3), *of_run(run, 1, 2)]
    await edge.redis.start()
    await edge.subscriptions_become(2)
    teller.end(run)
    assert await read(call, 2, seconds=1.5) == [(run.run_id, 3), ("run_ended", 4)]
    call.cancel()


async def test_a_client_that_cancels_frees_everything_at_any_place(edge: Any, teller: Teller) -> None:
    run = teller.say()
    idle = edge.watch_thread(teller.thread)
    await read(idle, 2)
    teller.start(run)
    busy = [edge.watch_thread(teller.thread) for _ in range(3)]
    for call in busy:
        await read(call, 5)
    await read(idle, 3)
    assert (edge.gateway.hub.watched, await edge.redis_subscriptions()) == (2, 2), "the thread and its run"
    for call in (idle, *busy):
        call.cancel()
    await until(lambda: edge.gateway.server.active_calls == 0)
    assert edge.gateway.hub.watched == 0
    await edge.subscriptions_become(0)


async def test_when_a_run_has_ended_its_subscription_is_let_go(edge: Any, teller: Teller) -> None:
    call = edge.watch_thread(teller.thread)
    run = teller.whole_run()
    await read(call, 9)
    await edge.subscriptions_become(1)
    assert edge.gateway.hub.watched == 1
    assert run.is_ended
    call.cancel()


async def test_silence_is_filled_with_keepalives_that_have_the_cursor(impatient: Any) -> None:
    teller = Teller(impatient.threads)
    run = teller.say()
    call = impatient.watch_thread(teller.thread)
    await read(call, 2)
    response = await call.read()
    assert not response.items
    assert (response.keepalive.head_seq, response.cursor) == (2, pb.ThreadCursor(thread_seq=2))
    teller.start(run)
    await read(call, 3)
    response = await call.read()
    assert response.cursor == pb.ThreadCursor(thread_seq=3, run_id=run.run_id, run_seq=2)
    assert response.keepalive.head_seq == 3
    call.cancel()


async def test_a_stopping_gateway_ends_its_watches_at_once(edge: Any, teller: Teller) -> None:
    run = teller.say()
    teller.start(run)
    calls = [edge.watch_thread(teller.thread) for _ in range(10)]
    for call in calls:
        await read(call, 5)
    stop = asyncio.create_task(edge.stop())
    errors = [await failure(call, seconds=1) for call in calls]
    assert {(error.code(), reason_of(error)) for error in errors} == {(grpc.StatusCode.UNAVAILABLE, "SERVER_STOPPING")}
    async with asyncio.timeout(2):
        await stop


async def test_a_revoked_key_ends_it(edge: Any, teller: Teller) -> None:
    call = edge.watch_thread(teller.thread)
    teller.say()
    await read(call, 2)
    edge.threads.revoke("weft_owner")
    assert reason_of(await failure(call, seconds=12)) == "API_KEY_INVALID"


async def test_a_watch_survives_a_restart_of_threads(edge: Any, teller: Teller) -> None:
    run = teller.say()
    teller.start(run)
    call = edge.watch_thread(teller.thread)
    await read(call, 5)
    await edge.threads.stop()
    teller.end(run)
    await edge.threads.start()
    assert await read(call, 2, seconds=10) == [(run.run_id, 3), ("run_ended", 4)]
    call.cancel()


async def test_a_slow_reader_loses_nothing(edge: Any, teller: Teller) -> None:
    run = teller.say()
    teller.start(run)
    call = edge.watch_thread(teller.thread)
    await read(call, 5)
    for _ in range(200):
        edge.threads.append(run, 100)
        edge.threads.log(teller.thread, title_updated={"title": "x" * 1000})
        await asyncio.sleep(0)
    teller.end(run)
    teller.delete()
    items = await read_all(call, seconds=30)
    assert [item for item in items if item[0] == run.run_id] == of_run(run, 3, 20_003)
    assert [seq for name, seq in items if name != run.run_id] == list(range(4, 206))
    assert items[-2:] == [("run_ended", 204), ("thread_deleted", 205)]


async def test_a_thousand_watchers_of_one_thread_cost_few_reads_of_its_log(edge: Any, teller: Teller) -> None:
    run = teller.say()
    teller.start(run)
    calls = [edge.watch_thread(teller.thread) for _ in range(1000)]
    for call in calls:
        await read(call, 5, seconds=60)
    pages = edge.threads.thread_pages_read, edge.threads.pages_read
    edge.threads.log(teller.thread, title_updated={"title": "new"})
    edge.threads.append(run, 3)
    for call in calls:
        await read(call, 4, seconds=60)
    teller.end(run)
    teller.delete()
    ends = await asyncio.gather(*(read_all(call, seconds=60) for call in calls))
    assert {tuple(each) for each in ends} == {((run.run_id, 6), ("run_ended", 5), ("thread_deleted", 6))}
    assert edge.threads.pages_read == pages[1], "what comes live is read by nobody"
    # One for each ring, and for each place at which a watcher was when it heard of it.
    assert edge.threads.thread_pages_read - pages[0] <= 10


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"after": {"thread_seq": 5}}, "CURSOR_OUT_OF_RANGE"),
        ({"after": {"thread_seq": 3, "run_id": format_id("run", UUID(int=1)), "run_seq": 4}}, "CURSOR_OUT_OF_RANGE"),
        ({"after": {"thread_seq": 4, "run_id": format_id("run", UUID(int=1))}}, "CURSOR_OUT_OF_RANGE"),
        ({"after": {"thread_seq": 3, "run_id": format_id("run", UUID(int=7))}}, "CURSOR_OUT_OF_RANGE"),
        ({"after": {"thread_seq": -1}}, "INVALID_FIELDS"),
        ({"after": {"thread_seq": 3, "run_seq": 1}}, "INVALID_FIELDS"),
        ({"after": {"thread_seq": 3}, "from_now": True}, "INVALID_FIELDS"),
    ],
    ids=["beyond", "beyond the run", "ended run", "another run", "negative", "no run", "two starts"],
)
async def test_a_cursor_that_cannot_be_is_refused(
    edge: Any, teller: Teller, fields: dict[str, Any], reason: str
) -> None:
    run = teller.say()
    teller.start(run)
    teller.end(run)
    found = from_rpc_error(await failure(edge.watch_thread(teller.thread, **fields)))
    assert found is not None
    assert found.reason == reason
    if reason == "CURSOR_OUT_OF_RANGE":
        assert "last_seq" in found.metadata
    await until(lambda: edge.gateway.hub.watched == 0)


@pytest.mark.parametrize(("key", "scope"), [(READER_KEY, "threads.read"), (THREADS_KEY, "runs.read")])
async def test_it_needs_both_rights(edge: Any, teller: Teller, key: str, scope: str) -> None:
    found = from_rpc_error(await failure(edge.watch_thread(teller.thread, key)))
    assert found is not None
    assert (found.reason, found.metadata) == ("SCOPE_MISSING", {"scope": scope})


async def test_another_tenants_thread_is_like_one_that_does_not_exist(edge: Any, teller: Teller) -> None:
    unknown = format_id("thr", UUID(int=99))
    told = [await failure(edge.watch_thread(each, OTHER_KEY)) for each in (teller.thread, unknown)]
    assert {(error.code(), reason_of(error)) for error in told} == {(grpc.StatusCode.NOT_FOUND, "THREAD_NOT_FOUND")}
