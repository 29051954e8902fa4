"""A watcher's place: whatever comes in whatever order, it is given each event once."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st
from weft.gateway.v1 import agent_gateway_service_pb2 as pb
from weft.runs.v1 import event_pb2
from weft.runs.v1.run_log_service_pb2 import LiveBatch
from weft_gateway.live.frames import Batch, batch_of, initiated, keepalive, response_of, successor_of
from weft_gateway.live.watch import Watch

HEAD = 30
EVENTS = [event_pb2.RunEvent(seq=seq, run_id="x" * (seq * 20)).SerializeToString() for seq in range(1, HEAD + 1)]


def a_batch(first_seq: int, last_seq: int) -> Batch:
    events = EVENTS[first_seq - 1 : last_seq]
    return batch_of(
        LiveBatch(run_id="r", first_seq=first_seq, events=events, is_terminal=last_seq == HEAD).SerializeToString()
    )


def a_watch(after_seq: int = 0) -> Watch:
    return Watch("t", "r", after_seq)


def seqs_of(response: bytes) -> list[int]:
    return [event.seq for event in pb.RunEventsResponse.FromString(response).events]


def test_a_response_is_the_message_that_protobuf_would_make() -> None:
    events = [event_pb2.RunEvent.FromString(event) for event in EVENTS]
    assert response_of(EVENTS) == pb.RunEventsResponse(events=events).SerializeToString()


def test_a_keepalive_has_the_head_and_no_events() -> None:
    response = pb.RunEventsResponse.FromString(keepalive("run_1", 7))
    assert (response.keepalive.run_id, response.keepalive.head_seq, len(response.events)) == ("run_1", 7, 0)


def test_responses_of_run_events_are_responses_of_stream_agent_too() -> None:
    shared = {field.number: (field.name, field.message_type) for field in pb.RunEventsResponse.DESCRIPTOR.fields}
    all_fields = {field.number: (field.name, field.message_type) for field in pb.StreamAgentResponse.DESCRIPTOR.fields}
    assert shared.items() <= all_fields.items()


def test_the_ids_come_as_protobuf_would_put_them() -> None:
    made = pb.InitiateAgentResponse(run_id="run_1", queue_position=300)
    assert initiated(made.SerializeToString()) == pb.StreamAgentResponse(initiated=made).SerializeToString()


def test_the_successor_is_named_by_the_last_event_only() -> None:
    superseded = event_pb2.RunEvent(seq=2)
    superseded.run_superseded.successor_run_id = "run_2"
    assert successor_of(response_of([EVENTS[0], superseded.SerializeToString()])) == "run_2"
    assert successor_of(response_of(EVENTS)) == ""


def test_what_waits_comes_in_one_response() -> None:
    watch = a_watch()
    for seq in range(1, 6):
        watch.push(a_batch(seq, seq))
    due = watch.take_live()
    assert due is not None
    assert seqs_of(due.response) == [1, 2, 3, 4, 5]
    assert watch.take_live() is None
    assert not watch.is_behind


def test_a_watcher_that_takes_nothing_keeps_little_and_knows_that_it_is_behind() -> None:
    watch, batch = a_watch(), a_batch(1, 1)
    for _ in range(5000):
        watch.push(batch)
    assert len(watch._waiting) <= 256
    large = Batch(2, [b"x"], b"x" * 700_000, False)
    watch.push(large)
    watch.push(large)
    assert sum(len(each.response) for each in watch._waiting) <= 1024 * 1024
    assert watch.is_behind


async def test_news_wakes_who_waits_and_is_told_once() -> None:
    watch = a_watch()
    waiting = asyncio.create_task(watch.news(5))
    await asyncio.sleep(0)
    watch.push(a_batch(1, 1))
    watch.note_head(7)
    assert await waiting
    assert not await watch.news(0)
    watch.note_head(8)
    assert await watch.news(0)


async def test_a_watcher_that_leaves_while_it_waits_leaves_nothing_behind() -> None:
    watch = a_watch()
    waiting = asyncio.create_task(watch.news(0.05))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    assert waiting.cancelled()
    watch.push(a_batch(1, 1))
    assert await watch.news(5)
    assert not await watch.news(0.01)


SPANS = st.tuples(st.integers(1, HEAD), st.integers(1, 6)).map(lambda span: (span[0], min(span[0] + span[1] - 1, HEAD)))
STEPS = st.lists(st.one_of(SPANS, st.just("take"), st.just("read"), st.integers(1, HEAD)), max_size=80)


@given(STEPS, st.integers(0, HEAD))
def test_each_event_is_given_once_and_in_order_whatever_comes(steps: list[object], after_seq: int) -> None:
    watch, seen = a_watch(after_seq), []
    is_ended = False
    for step in [*steps, "take", "read"]:
        if is_ended:
            break
        due = None
        if step == "take":
            due = watch.take_live()
        elif step == "read":
            page = EVENTS[watch.next_seq - 1 :]
            due = watch.take_logged(response_of(page), HEAD, is_ended=True, head_seq=HEAD)
        elif isinstance(step, tuple):
            watch.push(a_batch(*step))
        elif isinstance(step, int):
            watch.note_head(step)
        if due is not None:
            seen += seqs_of(due.response)
            is_ended = due.is_terminal
            assert is_ended == (watch.next_seq == HEAD + 1)
    assert is_ended
    assert seen == list(range(after_seq + 1, HEAD + 1))


@given(st.integers(0, HEAD - 1), st.lists(SPANS, max_size=30))
def test_a_watcher_is_behind_exactly_when_something_newer_was_heard_of(after_seq: int, spans: list[object]) -> None:
    watch = a_watch(after_seq)
    newest = after_seq
    for span in spans:
        assert isinstance(span, tuple)
        watch.push(a_batch(*span))
        newest = max(newest, span[1])
        watch.take_live()
        assert watch.is_behind == (newest >= watch.next_seq)


def test_a_watch_tells_once_that_it_was_too_slow() -> None:
    watch = a_watch()
    for _ in range(300):
        watch.push(a_batch(2, 2))
    assert [watch.taken_loss(), watch.taken_loss()] == ["slow_watcher", "gap"]
