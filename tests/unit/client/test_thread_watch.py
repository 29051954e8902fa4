"""The life of a thread comes whole, whatever is cut, repeated or left out on the way."""

import random
from collections.abc import Iterator
from itertools import chain

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from weft.gateway.v1.agent_gateway_service_pb2 import (
    ThreadCursor,
    ThreadEventsRequest,
    ThreadEventsResponse,
    ThreadKeepalive,
    ThreadStreamItem,
)
from weft.runs.v1 import event_pb2 as pb
from weft.runs.v1 import thread_event_pb2 as thread_pb
from weft.runs.v1.event_pb2 import RunEvent
from weft.runs.v1.thread_event_pb2 import ThreadEvent
from weft_client.errors import InternalError, UnavailableError, WeftError
from weft_client.patience import Contact, Outage, Patience
from weft_client.thread_watch import ThreadItem, ThreadWatch

THREAD = "thr_1"
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def a_life(lengths: list[int]) -> list[ThreadStreamItem]:
    """A thread in which each run has so many events; one of none is ended without having started."""
    items: list[ThreadStreamItem] = []

    def thread_event(**payload: object) -> None:
        seq = 1 + sum(item.HasField("thread_event") for item in items)
        event = ThreadEvent(thread_id=THREAD, seq=seq, **payload)  # type: ignore[arg-type]
        items.append(ThreadStreamItem(thread_event=event))

    for number, length in enumerate(lengths):
        run_id = f"run_{number}"
        thread_event(run_queued=thread_pb.ThreadRunQueued(run_id=run_id))
        if length:
            thread_event(run_started=thread_pb.ThreadRunStarted(run_id=run_id))
        for seq in range(1, length + 1):
            payload = {"run_succeeded": pb.RunSucceeded()} if seq == length else {"message_delta": pb.MessageDelta()}
            items.append(ThreadStreamItem(run_event=RunEvent(run_id=run_id, seq=seq, **payload)))
            if seq == 2:
                thread_event(title_updated=thread_pb.ThreadTitleUpdated(title="between"))
        terminal = RunEvent(run_id=run_id, seq=length or 1)
        thread_event(run_ended=thread_pb.ThreadRunEnded(run_id=run_id, terminal_event=terminal))
    thread_event(thread_deleted=thread_pb.ThreadDeleted())
    return items


def a_watch(after: ThreadCursor | None = None, *, from_now: bool = False) -> ThreadWatch:
    patience = Patience(first_seconds=1e9, lost_seconds=1e9)
    return ThreadWatch(THREAD, after, Outage(patience, Contact(), random.Random(0).random), from_now=from_now)


def behind(life: list[ThreadStreamItem], cursor: ThreadCursor) -> list[ThreadStreamItem]:
    """What a server would send: of the thread what is newer, of the run that goes on too, and all of later runs."""
    starts = {item.thread_event.run_started.run_id: item.thread_event.seq for item in life}

    def is_behind(item: ThreadStreamItem) -> bool:
        if item.HasField("thread_event"):
            return item.thread_event.seq > cursor.thread_seq
        if item.run_event.run_id == cursor.run_id:
            return item.run_event.seq > cursor.run_seq
        return starts[item.run_event.run_id] > cursor.thread_seq

    return [item for item in life if is_behind(item)]


def with_cursors(life: list[ThreadStreamItem]) -> Iterator[tuple[ThreadStreamItem, ThreadCursor]]:
    """As the contract says it: the last thread event, and the last event of the run between its marks."""
    cursor = ThreadCursor()
    for item in life:
        event = item.thread_event
        if item.HasField("run_event"):
            cursor = ThreadCursor(
                thread_seq=cursor.thread_seq, run_id=item.run_event.run_id, run_seq=item.run_event.seq
            )
        elif event.HasField("run_started"):
            cursor = ThreadCursor(thread_seq=event.seq, run_id=event.run_started.run_id)
        elif event.HasField("run_ended"):
            cursor = ThreadCursor(thread_seq=event.seq)
        else:
            cursor = ThreadCursor(thread_seq=event.seq, run_id=cursor.run_id, run_seq=cursor.run_seq)
        yield item, cursor


Cut = tuple[int, int, int, int]


@UNHURRIED
@given(
    lengths=st.lists(st.integers(0, 5), max_size=4),
    cuts=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 9), st.integers(1, 4)), max_size=10),
)
def test_any_cut_sequence_gives_exactly_the_life_of_the_thread(lengths: list[int], cuts: list[Cut]) -> None:
    life, watch, coming = a_life(lengths), a_watch(), iter(cuts)
    seen: list[ThreadItem] = []
    while not watch.is_ended:
        rest = behind(life, watch.request().after)
        stream = responses(life, rest, next(coming, None))
        try:
            for item in chain.from_iterable(map(watch.admit, stream)):
                seen.append(item)
            watch.ended(0.0)
        except WeftError as error:
            watch.broken(error, 0.0)
    protos = [item.proto for item in seen]
    for field in ("thread_event", "run_event"):
        assert [each for each in protos if each.HasField(field)] == [each for each in life if each.HasField(field)]
    assert [item.cursor for item in seen] == [cursor for _, cursor in with_cursors(protos)]


def responses(
    life: list[ThreadStreamItem], rest: list[ThreadStreamItem], cut: Cut | None
) -> Iterator[ThreadEventsResponse]:
    """What one stream brings: it begins too early, skips items, brings only so many, some together."""
    repeats, skips, brings, size = cut or (0, 0, len(life), 3)
    before = [item for item in life if item not in rest]
    items = [*before[len(before) - repeats :], *rest][skips:][:brings]
    for at in range(0, len(items), size):
        yield ThreadEventsResponse(items=items[at : at + size])
    if cut is not None:
        raise UnavailableError("", "cut")


@UNHURRIED
@given(lengths=st.lists(st.integers(0, 5), min_size=1, max_size=4), data=st.data())
def test_the_cursor_of_any_item_goes_on_behind_it(lengths: list[int], data: st.DataObject) -> None:
    life = list(with_cursors(a_life(lengths)))
    place = data.draw(st.integers(0, len(life) - 1))
    watch = a_watch(life[place][1])
    rest = [item for item, _ in life[place + 1 :]]
    assert [each.proto for each in watch.admit(ThreadEventsResponse(items=rest))] == rest


def test_now_is_where_the_server_says_it_is() -> None:
    watch, now = a_watch(from_now=True), ThreadCursor(thread_seq=2, run_id="run_0")
    assert watch.request() == ThreadEventsRequest(thread_id=THREAD, from_now=True)
    assert list(watch.admit(ThreadEventsResponse(keepalive=ThreadKeepalive(head_seq=2), cursor=now))) == []
    assert watch.request() == ThreadEventsRequest(thread_id=THREAD, after=now)


def test_a_stream_that_does_not_say_where_now_is_is_opened_anew() -> None:
    watch = a_watch(from_now=True)
    with pytest.raises(InternalError, match="did not say where it begins"):
        list(watch.admit(ThreadEventsResponse(items=a_life([1]))))
    assert watch.request().from_now


def test_a_cursor_without_a_run_goes_on_with_the_run_that_goes_on() -> None:
    life = a_life([3])
    watch = a_watch(ThreadCursor(thread_seq=2))
    assert [item.type for item in watch.admit(ThreadEventsResponse(items=life[2:]))][:1] == ["message.delta"]


def test_the_end_of_a_run_is_not_taken_without_all_of_its_events() -> None:
    life = a_life([1])
    watch = a_watch()
    items = watch.admit(ThreadEventsResponse(items=[*life[:2], *life[3:]]))
    assert [next(items).type, next(items).type] == ["run.queued", "run.started"]
    with pytest.raises(InternalError, match="came its end"):
        next(items)


def test_an_item_says_what_it_is() -> None:
    items = list(a_watch().admit(ThreadEventsResponse(items=a_life([2]))))
    assert [item.type for item in items] == [
        "run.queued",
        "run.started",
        "message.delta",
        "run.succeeded",
        "title.updated",
        "run.ended",
        "thread.deleted",
    ]
    assert [item.run_event.seq for item in items if item.run_event] == [1, 2]
    assert [item.thread_event.seq for item in items if item.thread_event] == [1, 2, 3, 4, 5]
