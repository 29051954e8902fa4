from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weft_agent_runner.model.sse import EventSplitter, LineTooLongError

EVENTS = st.lists(st.lists(st.text("ab🦉 :", max_size=5), min_size=1, max_size=3), max_size=5)


def split(reads: list[bytes]) -> list[bytes]:
    splitter = EventSplitter(1000)
    events = [event for read in reads for event in splitter.feed(read)]
    return events + splitter.close()


@given(EVENTS, st.sampled_from(["\n", "\r\n", "\r"]), st.lists(st.integers(0, 200)), st.booleans())
def test_events_are_the_same_however_their_bytes_are_cut(
    events: list[list[str]], end: str, cuts: list[int], with_noise: bool
) -> None:
    noise = f": comment{end}{end}event: message{end}id: 7{end}" if with_noise else ""
    stream = "".join(noise + "".join(f"data: {line}{end}" for line in lines) + end for lines in events).encode()
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    reads = [stream[start:stop] for start, stop in pairwise(places)]
    assert split(reads) == ["\n".join(lines).encode() for lines in events]


def test_last_event_counts_when_its_blank_line_is_missing() -> None:
    assert split([b"data: a\n\ndata: b"]) == [b"a", b"b"]


def test_data_needs_no_space() -> None:
    assert split([b"data:a\n\n", b"data:  b\n\n"]) == [b"a", b" b"]


@pytest.mark.parametrize("reads", [[b"x" * 1001], [b"x" * 600] * 2, [b"data: " + b"x" * 999 + b"\n"]])
def test_line_beyond_the_bound_is_refused_before_it_is_whole(reads: list[bytes]) -> None:
    with pytest.raises(LineTooLongError):
        split(reads)


def test_event_of_many_lines_beyond_the_bound_is_refused() -> None:
    with pytest.raises(LineTooLongError):
        split([b"data: 0123456789\n"] * 200)


def test_bound_is_for_one_line_and_not_for_the_stream() -> None:
    assert len(split([b"data: x\n\n"] * 1000)) == 1000
