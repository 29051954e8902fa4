"""Whatever is cut, repeated or left out on the way: what a watch gives is the log."""

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from weft.gateway.v1.agent_gateway_service_pb2 import Keepalive, RunEventsRequest, RunEventsResponse
from weft.runs.v1 import event_pb2 as pb
from weft.runs.v1.event_pb2 import RunEvent
from weft_client.errors import (
    CancelledByServerError,
    DeadlineExceededError,
    InternalError,
    NotFoundError,
    ResourceExhaustedError,
    UnavailableError,
    UnknownError,
    WeftError,
)
from weft_client.events import Event
from weft_client.patience import Contact, Outage, Patience
from weft_client.watch import Watch

REFUSED = UnavailableError("", "connection refused")
ENDLESS = Patience(first_seconds=1e9, lost_seconds=1e9)
TRANSIENT = [
    UnavailableError("", "connection reset"),
    UnavailableError("SERVER_STOPPING", "stopping", retry_after_seconds=0.0),
    CancelledByServerError("", "overrun"),
    ResourceExhaustedError("OVERLOADED", "too many", retry_after_seconds=0.2),
    InternalError("", "received RST_STREAM"),
    UnknownError("", "stream removed"),
    DeadlineExceededError("", "a proxy's"),
]
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def a_log(run_id: str, length: int, end: RunEvent) -> list[RunEvent]:
    events = [
        RunEvent(run_id=run_id, seq=seq, message_delta=pb.MessageDelta(message_id="m", text=str(seq)))
        for seq in range(1, length)
    ]
    end.run_id, end.seq = run_id, length
    return [*events, end]


def succeeded() -> RunEvent:
    return RunEvent(run_succeeded=pb.RunSucceeded())


def superseded_by(run_id: str) -> RunEvent:
    return RunEvent(run_superseded=pb.RunSuperseded(successor_run_id=run_id))


@dataclass
class Stream:
    """What one stream does wrong: it begins too early, skips events, brings only so many, then ends like this."""

    repeats: int
    skips: int
    brings: int
    size: int
    has_keepalive: bool
    end: WeftError | None

    def responses(self, log: list[RunEvent], after_seq: int) -> Iterator[RunEventsResponse]:
        start = max(after_seq - self.repeats, 0) + self.skips
        events = log[start : start + self.brings]
        for at in range(0, len(events), self.size):
            if self.has_keepalive:
                yield RunEventsResponse(keepalive=Keepalive(head_seq=after_seq))
            yield RunEventsResponse(events=events[at : at + self.size])
        if self.end is not None:
            raise self.end


HONEST = Stream(repeats=0, skips=0, brings=10**6, size=7, has_keepalive=False, end=None)
streams = st.builds(
    Stream,
    repeats=st.integers(0, 4),
    skips=st.integers(0, 3),
    brings=st.integers(0, 12),
    size=st.integers(1, 5),
    has_keepalive=st.booleans(),
    end=st.sampled_from([None, *TRANSIENT]),
)


def drive(watch: Watch, logs: dict[str, list[RunEvent]], bad: Iterable[Stream]) -> list[Event]:
    """Do what the clients do, without a network."""
    seen: list[Event] = []
    now, coming = 0.0, iter(bad)
    while not watch.is_ended:
        watch.seconds_left(now)
        request = watch.request()
        responses = next(coming, HONEST).responses(logs[request.run_id], request.after_seq)
        try:
            for event in chain.from_iterable(map(watch.admit, responses)):
                seen.append(event)
            now += watch.ended(now)
        except WeftError as error:
            now += watch.broken(error, now)
    return seen


def outage(patience: Patience = ENDLESS, contact: Contact | None = None) -> Outage:
    return Outage(patience, contact or Contact(), random.Random(0).random)


@UNHURRIED
@given(length=st.integers(1, 25), after=st.integers(0, 24), bad=st.lists(streams, max_size=12))
def test_any_cut_sequence_gives_exactly_the_log(length: int, after: int, bad: list[Stream]) -> None:
    after = min(after, length - 1)
    log = a_log("run_a", length, succeeded())
    if after:  # a stream that brings nothing and ends with OK says that there is nothing more
        bad = [replace(each, end=each.end or REFUSED) for each in bad]
    seen = drive(Watch("run_a", after, outage()), {"run_a": log}, bad)
    assert [event.proto for event in seen] == log[after:]


@UNHURRIED
@given(lengths=st.lists(st.integers(1, 8), min_size=2, max_size=4), bad=st.lists(streams, max_size=10))
def test_following_gives_the_logs_of_all_successors_one_after_the_other(lengths: list[int], bad: list[Stream]) -> None:
    names = [f"run_{number}" for number in range(len(lengths))]
    ends = [*(superseded_by(name) for name in names[1:]), succeeded()]
    logs = {name: a_log(name, length, end) for name, length, end in zip(names, lengths, ends, strict=True)}
    seen = drive(Watch(names[0], 0, outage(), follow=True), logs, bad)
    assert [event.proto for event in seen] == [event for name in names for event in logs[name]]


def test_following_takes_the_successors_events_from_the_same_stream_too() -> None:
    logs = [*a_log("run_a", 2, superseded_by("run_b")), *a_log("run_b", 2, succeeded())]
    watch = Watch("run_a", 0, outage(), follow=True)
    assert [event.proto for event in watch.admit(RunEventsResponse(events=logs))] == logs
    assert watch.is_ended


def test_a_superseded_run_ends_the_watch_when_nobody_asked_to_follow() -> None:
    log = a_log("run_a", 2, superseded_by("run_b"))
    watch = Watch("run_a", 0, outage())
    assert [event.proto for event in watch.admit(RunEventsResponse(events=log))] == log
    assert watch.is_ended


def test_a_successor_is_asked_for_at_once() -> None:
    watch = Watch("run_a", 0, outage(), follow=True)
    list(watch.admit(RunEventsResponse(events=a_log("run_a", 1, superseded_by("run_b")))))
    assert watch.ended(0.0) == 0.0
    assert watch.request() == RunEventsRequest(run_id="run_b", after_seq=0, follow_successor=True)
    assert watch.ended(0.0) > 0.0, "a successor without events is an end too early"


def test_a_stream_behind_the_end_may_end_at_once() -> None:
    watch = Watch("run_a", 9, outage())
    assert watch.ended(0.0) == 0.0
    assert watch.is_ended


def test_what_came_before_is_passed_over() -> None:
    log, watch = a_log("run_a", 5, succeeded()), Watch("run_a", 0, outage())
    assert [event.seq for event in watch.admit(RunEventsResponse(events=log[:3]))] == [1, 2, 3]
    assert [event.seq for event in watch.admit(RunEventsResponse(events=log[1:4]))] == [4]


def test_events_before_a_gap_are_given_and_those_behind_it_asked_for_again() -> None:
    log = a_log("run_a", 5, succeeded())
    watch = Watch("run_a", 0, outage())
    events = watch.admit(RunEventsResponse(events=[log[0], log[1], log[3], log[4]]))
    assert [next(events).seq, next(events).seq] == [1, 2]
    with pytest.raises(InternalError, match="after run_a 2 came run_a 4"):
        next(events)
    assert watch.request().after_seq == 2


def test_an_error_that_no_retry_mends_is_raised_as_it_is() -> None:
    watch, error = Watch("run_a", 0, outage()), NotFoundError("RUN_NOT_FOUND", "no such run")
    with pytest.raises(NotFoundError) as raised:
        watch.broken(error, 0.0)
    assert raised.value is error


def test_a_server_that_never_answers_is_given_up_sooner_than_one_that_went_away() -> None:
    patience = Patience(first_seconds=5, lost_seconds=60)
    never, lost = Watch("run_a", 0, outage(patience)), Watch("run_a", 0, outage(patience))
    list(lost.admit(RunEventsResponse(keepalive=Keepalive())))
    assert 2 < given_up_after(lambda now: never.broken(REFUSED, now), UnavailableError) < 5
    assert 55 < given_up_after(lambda now: lost.broken(REFUSED, now), UnavailableError) < 60


def given_up_after(fail: Callable[[float], float], kind: type[WeftError]) -> float:
    """Return the seconds until a failure that does not pass is told."""
    now = 100.0
    while True:
        try:
            now += fail(now)
        except kind as error:
            assert any("given up after" in note for note in error.__notes__)  # noqa: PT017 the last of many
            return now - 100.0


def test_streams_that_end_early_without_an_event_are_given_up_too() -> None:
    watch = Watch("run_a", 0, outage(Patience(first_seconds=5)))
    assert 2 < given_up_after(watch.ended, InternalError) < 5


def test_a_gap_that_never_closes_is_given_up_too() -> None:
    log = a_log("run_a", 5, succeeded())
    watch = Watch("run_a", 0, outage(Patience(first_seconds=5)))

    def gap(now: float) -> float:
        with pytest.raises(InternalError, match="after run_a 0 came run_a 3") as raised:
            next(watch.admit(RunEventsResponse(events=log[2:])))
        return watch.broken(raised.value, now)

    assert 2 < given_up_after(gap, InternalError) < 5


def test_the_time_of_the_caller_ends_the_watch_and_names_the_run() -> None:
    watch = Watch("run_a", 0, outage(), until=10.0)
    assert watch.seconds_left(4.0) == 6.0
    assert watch.broken(UnavailableError("", "away", retry_after_seconds=99), 4.0) == 6.0
    with pytest.raises(DeadlineExceededError) as raised:
        watch.seconds_left(10.0)
    assert raised.value.metadata == {"run_id": "run_a"}
