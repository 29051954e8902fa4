"""RunEvents: whatever happens round it, a watcher gets the log, once and in order."""

import asyncio
import time
from typing import Any
from uuid import UUID

import grpc
import pytest
from integration.gateway.streams import events, failure, read, read_all, until
from weft_core.ids import format_id
from weft_grpckit.status import from_rpc_error, reason_of

TENANT = UUID(int=1)
KEY, OTHER_KEY = "weft_owner", "weft_other"


async def test_a_finished_run_is_replayed_from_any_point_and_ends_ok(edge: Any) -> None:
    run = edge.threads.add_run(TENANT, 1)
    edge.threads.append(run, 250)
    edge.threads.append(run, is_terminal=True)
    assert await read_all(edge.watch(run)) == list(range(1, 252))
    assert await read_all(edge.watch(run, 200)) == list(range(201, 252))
    assert await read_all(edge.watch(run, 251)) == []


async def test_what_a_watcher_sees_is_the_log_byte_for_byte(edge: Any) -> None:
    run = edge.threads.add_run(TENANT, 1)
    edge.threads.append(run, 3)
    call = edge.watch(run)
    response = await call.read()
    edge.threads.append(run, 2, is_terminal=True)
    live = [event async for event in events(call)]
    assert [event.SerializeToString() for event in [*response.events, *live]] == run.events


async def test_events_come_live_without_a_further_read_of_the_log(edge: Any) -> None:
    run = edge.threads.add_run(TENANT, 1)
    edge.threads.append(run)
    call = edge.watch(run)
    assert await read(call, 1) == [1]
    pages = edge.threads.pages_read
    began = time.monotonic()
    for seq in range(2, 12):
        edge.threads.append(run)
        assert await read(call, 1) == [seq]
    assert time.monotonic() - began < 1
    edge.threads.append(run, is_terminal=True)
    assert await read_all(call) == [12]
    assert edge.threads.pages_read == pages


async def test_a_watch_of_a_run_without_events_starts_when_they_come(edge: Any) -> None:
    run = edge.threads.add_run(TENANT, 1)
    call = edge.watch(run)
    await until(lambda: edge.threads.pages_read)
    edge.threads.append(run, 2)
    assert await read(call, 2) == [1, 2]
    call.cancel()


async def test_a_gap_is_refilled_from_the_log_and_what_came_twice_is_dropped(edge: Any) -> None:
    run = edge.threads.add_run(TENANT, 1)
    edge.threads.append(run)
    call = edge.watch(run)
    assert await read(call, 1) == [1]
    edge.threads.append(run, 3, is_published=False)
    edge.threads.append(run, 2)
    edge.threads.publish(run, 1, 4)
    edge.threads.publish(run, 3, 4)
    edge.threads.append(run, is_terminal=True)
    assert await read_all(call, seconds=1) == [2, 3, 4, 5, 6, 7]


async def test_events_that_arrive_in_the_wrong_order_are_put_right(edge: Any) -> None:
    run = edge.threads.add_run(TENANT, 1)
    edge.threads.append(run)
    call = edge.watch(run)
    assert await read(call, 1) == [1]
    for _ in range(20):
        edge.threads.append(run, is_published=False)
    for seq in (3, 2, 5, 4, 9, 6, 8, 7, 10):
        edge.threads.publish(run, seq, 1)
    edge.threads.append(run, is_terminal=True)
    assert await read_all(call, seconds=1) == list(range(2, 23))


async def test_last_events_that_were_never_published_are_found_within_a_second_and_a_half(edge: Any) -> None:
    run = edge.threads.add_run(TENANT, 1)
    edge.threads.append(run)
    call = edge.watch(run)
    assert await read(call, 1) == [1]
    edge.threads.append(run, 2, is_terminal=True, is_published=False)
    assert await read_all(call, seconds=1.5) == [2, 3]


async def test_a_watch_goes_on_within_a_second_when_redis_is_killed_and_lives_again_when_it_is_back(edge: Any) -> None:
    run = edge.threads.add_run(TENANT, 1)
    edge.threads.append(run)
    call = edge.watch(run)
    assert await read(call, 1) == [1]
    await edge.redis.kill()
    edge.threads.append(run, 2)
    assert await read(call, 2, seconds=1) == [2, 3]
    fresh = edge.watch(run)
    assert await read(fresh, 3, seconds=1) == [1, 2, 3]
    await edge.redis.start()
    await edge.subscriptions_become(1)
    pages = edge.threads.pages_read
    edge.threads.append(run, is_published=False)
    edge.threads.append(run, is_terminal=True)
    assert await read_all(call, seconds=1.5) == [4, 5]
    assert await read_all(fresh, seconds=1.5) == [4, 5]
    assert edge.threads.pages_read - pages <= 4


async def test_a_frozen_redis_delays_a_new_watch_by_a_second_at_most(edge: Any) -> None:
    run = edge.threads.add_run(TENANT, 1)
    edge.threads.append(run)
    edge.redis.freeze()
    try:
        call = edge.watch(run)
        assert await read(call, 1, seconds=1.5) == [1]
        edge.threads.append(run, is_terminal=True)
        assert await read_all(call, seconds=1.5) == [2]
    finally:
        edge.redis.thaw()


async def test_a_slow_reader_loses_nothing_and_slows_nobody(edge: Any) -> None:
    run = edge.threads.add_run(TENANT, 1)
    edge.threads.append(run)
    slow, quick = edge.watch(run), edge.watch(run)
    assert await read(slow, 1) == [1]
    assert await read(quick, 1) == [1]
    total = 30_000
    for _ in range(total // 100):
        edge.threads.append(run, 100)
        await asyncio.sleep(0)
    edge.threads.append(run, is_terminal=True)
    began = time.monotonic()
    assert (await read_all(quick, seconds=20))[-1] == total + 2
    assert time.monotonic() - began < 10
    assert await read_all(slow, seconds=20) == list(range(2, total + 3))


async def test_a_client_that_cancels_frees_its_subscription(edge: Any) -> None:
    run = edge.threads.add_run(TENANT, 1)
    edge.threads.append(run)
    calls = [edge.watch(run) for _ in range(3)]
    for call in calls:
        assert await read(call, 1) == [1]
    assert (edge.gateway.hub.watched, await edge.redis_subscriptions()) == (1, 1)
    for call in calls:
        call.cancel()
    await until(lambda: edge.gateway.server.active_calls == 0)
    assert edge.gateway.hub.watched == 0
    await edge.subscriptions_become(0)


async def test_a_client_that_cancels_under_full_load_frees_its_subscription(edge: Any) -> None:
    """Flow control suspends the stream in its `yield`: then it gets GeneratorExit instead of CancelledError."""
    run = edge.threads.add_run(TENANT, 1)
    for _ in range(300):
        edge.threads.append(run, 100, is_published=False)
    call = edge.watch(run)
    await call.read()
    await asyncio.sleep(0.3)
    call.cancel()
    await until(lambda: edge.gateway.server.active_calls == 0)
    assert edge.gateway.hub.watched == 0


async def test_a_deadline_ends_the_watch_and_frees_it(edge: Any) -> None:
    run = edge.threads.add_run(TENANT, 1)
    edge.threads.append(run)
    error = await failure(edge.watch(run, timeout=0.3))
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await until(lambda: edge.gateway.server.active_calls == 0)
    assert edge.gateway.hub.watched == 0


async def test_silence_is_filled_with_keepalives_that_are_not_in_the_log(impatient: Any) -> None:
    run = impatient.threads.add_run(TENANT, 1)
    impatient.threads.append(run, 2)
    call = impatient.watch(run)
    assert await read(call, 2) == [1, 2]
    for _ in range(2):
        response = await call.read()
        assert not response.events
        assert (response.keepalive.run_id, response.keepalive.head_seq) == (run.run_id, 2)
        assert abs(response.keepalive.time.ToSeconds() - time.time()) < 5
    impatient.threads.append(run, is_terminal=True)
    assert await read_all(call) == [3]


async def test_a_stopping_gateway_ends_its_watches_at_once(edge: Any) -> None:
    run = edge.threads.add_run(TENANT, 1)
    edge.threads.append(run)
    calls = [edge.watch(run) for _ in range(20)]
    for call in calls:
        assert await read(call, 1) == [1]
    began = time.monotonic()
    stop = asyncio.create_task(edge.stop())
    errors = [await failure(call) for call in calls]
    assert time.monotonic() - began < 0.5
    assert {(error.code(), reason_of(error)) for error in errors} == {(grpc.StatusCode.UNAVAILABLE, "SERVER_STOPPING")}
    async with asyncio.timeout(2):
        await stop


async def test_a_watch_survives_a_restart_of_threads_and_is_kept_alive_meanwhile(impatient: Any) -> None:
    run = impatient.threads.add_run(TENANT, 1)
    impatient.threads.append(run)
    call = impatient.watch(run)
    assert await read(call, 1) == [1]
    await impatient.threads.stop()
    impatient.threads.append(run, 5, is_published=False)
    impatient.threads.append(run, 1)
    async with asyncio.timeout(5):
        for _ in range(3):
            response = await call.read()
            assert response.keepalive.head_seq == 1
    await impatient.threads.start()
    impatient.threads.append(run, is_terminal=True)
    assert await read_all(call, seconds=5) == [2, 3, 4, 5, 6, 7, 8]


async def test_a_new_watch_is_told_to_come_back_when_threads_stays_away(edge: Any) -> None:
    run = edge.threads.add_run(TENANT, 1)
    edge.threads.append(run)
    await read(edge.watch(run), 1)
    await edge.threads.stop()
    error = await failure(edge.watch(run), seconds=10)
    found = from_rpc_error(error)
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert found is not None
    assert (found.reason, found.retry_after_seconds) == ("SERVICE_UNAVAILABLE", 1.0)


@pytest.mark.parametrize(
    ("number", "after_seq", "key", "reason"),
    [
        (1, 4, KEY, "CURSOR_OUT_OF_RANGE"),
        (1, -1, KEY, "INVALID_FIELDS"),
        (2, 0, KEY, "RUN_NOT_FOUND"),
        (1, 0, OTHER_KEY, "RUN_NOT_FOUND"),
    ],
    ids=["beyond the head", "negative", "unknown", "of another tenant"],
)
async def test_a_watch_that_cannot_be_is_refused(edge: Any, number: int, after_seq: int, key: str, reason: str) -> None:
    edge.threads.append(edge.threads.add_run(TENANT, 1), 3)
    error = await failure(edge.watch(format_id("run", UUID(int=number)), after_seq, key))
    assert reason_of(error) == reason
    await until(lambda: edge.gateway.hub.watched == 0)


async def test_a_wrong_kind_of_id_is_refused(edge: Any) -> None:
    error = await failure(edge.watch(format_id("thr", UUID(int=1))))
    found = from_rpc_error(error)
    assert found is not None
    assert [violation.field for violation in found.violations] == ["run_id"]
    assert "is a thread id; needed is a run id" in found.message


async def test_another_tenant_that_tries_first_does_not_disturb_the_owner(edge: Any) -> None:
    run = edge.threads.add_run(TENANT, 1)
    edge.threads.append(run)
    spy = edge.watch(run, 0, OTHER_KEY)
    call = edge.watch(run)
    assert reason_of(await failure(spy)) == "RUN_NOT_FOUND"
    assert await read(call, 1) == [1]
    edge.threads.append(run, is_terminal=True, is_published=False)
    assert await read_all(call, seconds=1.5) == [2]


async def test_many_watchers_of_one_run_cost_few_reads_of_the_log(edge: Any) -> None:
    run = edge.threads.add_run(TENANT, 1)
    edge.threads.append(run, 50)
    calls = [edge.watch(run) for _ in range(200)]
    assert {tuple(await read(call, 50, seconds=20)) for call in calls} == {tuple(range(1, 51))}
    pages = edge.threads.pages_read
    edge.threads.append(run, 5, is_published=False)
    edge.threads.append(run, 1, is_terminal=True)
    seen = await asyncio.gather(*(read_all(call, seconds=20) for call in calls))
    assert {tuple(each) for each in seen} == {tuple(range(51, 57))}
    assert edge.threads.pages_read - pages <= 20


async def test_a_revoked_key_ends_its_open_watches_and_no_others(edge: Any) -> None:
    run = edge.threads.add_run(TENANT, 1)
    edge.threads.append(run)
    revoked, kept = edge.watch(run, 0, "weft_reader"), edge.watch(run)
    assert await read(revoked, 1) == [1]
    assert await read(kept, 1) == [1]
    edge.threads.revoke("weft_reader")
    assert reason_of(await failure(revoked, seconds=12)) == "API_KEY_INVALID"
    edge.threads.append(run, is_terminal=True)
    assert await read_all(kept) == [2]


async def test_who_follows_goes_on_with_the_run_that_took_over_and_ends_with_one_that_none_did(edge: Any) -> None:
    first, second, third = (edge.threads.add_run(TENANT, number) for number in (1, 2, 3))
    edge.threads.append(first, 3)
    call, plain = edge.watch(first, follow_successor=True), edge.watch(first)
    assert await read(call, 3) == [1, 2, 3]
    edge.threads.append(second, 1)
    edge.threads.append(first, is_terminal=True, successor=second)
    assert await read(call, 2) == [4, 1]
    edge.threads.append(second, 2, is_terminal=True, successor=third)
    edge.threads.append(third, 2)
    assert await read(call, 4) == [2, 3, 1, 2]
    edge.threads.append(third, is_terminal=True)
    last = [event async for event in events(call)]
    assert [(event.run_id, event.seq) for event in last] == [(third.run_id, 3)]
    assert await read_all(plain) == [1, 2, 3, 4], "who does not follow is not led on"
    await until(lambda: edge.gateway.server.active_calls == 0)
    assert edge.gateway.hub.watched == 0
    await edge.subscriptions_become(0)


@pytest.mark.parametrize("after_seq", range(5))
async def test_who_follows_resumes_at_any_event_of_the_run_before(edge: Any, after_seq: int) -> None:
    first, second = edge.threads.add_run(TENANT, 1), edge.threads.add_run(TENANT, 2)
    edge.threads.append(first, 4, is_terminal=True, successor=second)
    edge.threads.append(second, 2, is_terminal=True)
    expected = [(first.run_id, seq) for seq in range(after_seq + 1, 5)] + [(second.run_id, seq) for seq in (1, 2)]
    call = edge.watch(first, after_seq, follow_successor=True)
    assert [(event.run_id, event.seq) async for event in events(call)] == expected


async def test_keepalives_of_who_follows_name_the_run_that_goes_on(impatient: Any) -> None:
    first, second = impatient.threads.add_run(TENANT, 1), impatient.threads.add_run(TENANT, 2)
    impatient.threads.append(first, 2, is_terminal=True, successor=second)
    impatient.threads.append(second)
    call = impatient.watch(first, follow_successor=True)
    assert await read(call, 3) == [1, 2, 1]
    told = (await call.read()).keepalive
    assert (told.run_id, told.head_seq) == (second.run_id, 1)


async def test_a_thousand_watchers_of_one_run_cost_one_read_of_the_log(edge: Any) -> None:
    run = edge.threads.add_run(TENANT, 1)
    edge.threads.append(run, 5)
    gate = asyncio.Event()
    edge.threads.before_read = gate.wait
    calls = [edge.watch(run) for _ in range(1000)]
    await until(lambda: edge.gateway.server.active_calls == 1000, seconds=30)
    edge.threads.before_read = None
    gate.set()
    for call in calls:
        assert await read(call, 5, seconds=30) == [1, 2, 3, 4, 5]
    # Those who came while the first read was under way must not rely on it: they share the next.
    assert edge.threads.pages_read <= 2
    pages = edge.threads.pages_read
    for _ in range(5):
        edge.threads.append(run, 3)
    edge.threads.append(run, is_terminal=True)
    seen = await asyncio.gather(*(read_all(call, seconds=60) for call in calls))
    assert {tuple(each) for each in seen} == {tuple(range(6, 22))}
    assert edge.threads.pages_read == pages, "what comes live is read by nobody"
