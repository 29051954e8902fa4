"""How times, amounts and sums read."""

from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from weft.runs.v1.run_pb2 import Run
from weft_cli import words

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def stamp(time: datetime) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(time)
    return made


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "now"),
        (-5, "now"),
        (2, "2 s ago"),
        (59, "59 s ago"),
        (90, "2 min ago"),
        (7200, "2 h ago"),
        (3 * 86400, "3 d ago"),
        (800 * 86400, "2 y ago"),
    ],
)
def test_a_time_is_told_by_how_long_ago_it_was(seconds: int, told: str) -> None:
    assert words.ago(stamp(NOW - timedelta(seconds=seconds)), NOW) == told


def test_no_time_is_told_as_nothing() -> None:
    assert words.ago(Timestamp()) == words.local(Timestamp()) == words.took(Run(), "start_time", "end_time") == ""


def test_what_took_how_long() -> None:
    run = Run(start_time=stamp(NOW), end_time=stamp(NOW + timedelta(milliseconds=1500)))
    assert words.took(run, "start_time", "end_time") == "1.5 s"


@pytest.mark.parametrize(
    ("micros", "told"),
    [(0, "$0"), (1, "$0.000001"), (1500, "$0.0015"), (250_000, "$0.25"), (1_234_567_890, "$1,234.57")],
)
def test_sums_of_money(micros: int, told: str) -> None:
    assert words.money(micros) == told


def test_amounts_and_sizes() -> None:
    assert [words.amount(n) for n in (0, 999, 12345)] == ["0", "999", "12,345"]
    assert [words.size(n) for n in (12, 2048, 3 << 20)] == ["12 B", "2.0 KiB", "3.0 MiB"]


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("7d", NOW - timedelta(days=7)),
        ("24h", NOW - timedelta(hours=24)),
        ("30min", NOW - timedelta(minutes=30)),
        ("30m", NOW - timedelta(minutes=30)),
        ("2w", NOW - timedelta(weeks=2)),
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02", datetime(2026, 1, 2).astimezone()),
    ],
)
def test_moments_are_read(text: str, time: datetime) -> None:
    assert words.moment(text, NOW) == time


@pytest.mark.parametrize("text", ["", "7", "7x", "yesterday", "2026-13-01", "99999999999d"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no time|too long ago"):
        words.moment(text, NOW)
