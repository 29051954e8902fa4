"""The demonstration's checks must see what they are there for."""

import io

import pytest
from rich.console import Console
from weft.runs.v1.event_pb2 import MessageDelta, RunCancelled, RunEvent, RunQueued, RunSucceeded
from weft_cli.console import Printer
from weft_cli.demo.checks import CheckFailedError, Checks
from weft_cli.demo.log import Seen, check_log, text_of


@pytest.fixture
def checks() -> Checks:
    return Checks(Printer(Console(file=io.StringIO())))


def a_delta(seq: int, offset: int, text: str) -> RunEvent:
    return RunEvent(seq=seq, epoch=1, message_delta=MessageDelta(message_id="m", offset=offset, text=text))


def a_log() -> list[RunEvent]:
    return [
        RunEvent(seq=1, run_queued=RunQueued()),
        a_delta(2, 0, "Hallo "),
        a_delta(3, 6, "Wält"),
        RunEvent(seq=4, epoch=1, run_succeeded=RunSucceeded()),
    ]


def seen(events: list[RunEvent]) -> list[Seen]:
    return [Seen(event, 0.0) for event in events]


def failed(checks: Checks, events: list[RunEvent], after_seq: int = 0) -> str:
    with pytest.raises(CheckFailedError) as caught:
        check_log(checks, seen(events), after_seq=after_seq)
    return caught.value.name


def test_a_whole_log_holds(checks: Checks) -> None:
    check_log(checks, seen(a_log()))
    assert checks.count == 4


def test_a_log_from_the_middle_holds(checks: Checks) -> None:
    check_log(checks, seen(a_log()[2:]), after_seq=2)


def test_a_seq_off_by_one_is_seen(checks: Checks) -> None:
    events = a_log()
    for event in events:
        event.seq -= 1
    assert failed(checks, events) == "log.seq"


@pytest.mark.parametrize("after_seq", [1, 3])
def test_a_resume_off_by_one_is_seen(checks: Checks, after_seq: int) -> None:
    assert failed(checks, a_log()[2:], after_seq) == "log.seq"


def test_a_missing_event_is_seen(checks: Checks) -> None:
    events = a_log()
    del events[1]
    assert failed(checks, events) == "log.seq"


def test_an_epoch_that_goes_down_is_seen(checks: Checks) -> None:
    events = a_log()
    events[-1].epoch = 0
    assert failed(checks, events) == "log.epoch"


def test_a_second_terminal_event_is_seen(checks: Checks) -> None:
    events = [*a_log(), RunEvent(seq=5, epoch=1, run_cancelled=RunCancelled())]
    assert failed(checks, events) == "log.end"


def test_a_log_without_terminal_event_is_seen(checks: Checks) -> None:
    assert failed(checks, a_log()[:-1]) == "log.end"


def test_deltas_join_to_the_text_by_code_points(checks: Checks) -> None:
    assert text_of(checks, seen(a_log()), "m") == "Hallo Wält"


def test_a_delta_in_the_wrong_place_is_seen(checks: Checks) -> None:
    events = a_log()
    events[2].message_delta.offset = 7
    with pytest.raises(CheckFailedError) as caught:
        text_of(checks, seen(events), "m")
    assert caught.value.name == "log.text"


def test_a_check_tells_what_is_there_instead(checks: Checks) -> None:
    with pytest.raises(CheckFailedError, match=r"merge\.rows: not so: two rows; seen: 1, wanted 2"):
        checks.equal("merge.rows", 1, 2, "two rows")
