"""How a text is cut into passages."""

from hypothesis import given
from hypothesis import strategies as st
from weft_threads.documents.document import PASSAGE_LENGTH, passages

WORDS = st.text(alphabet="ab #\n\u00a0\U0001f9f6", max_size=60)


@given(WORDS, st.integers(min_value=1, max_value=400))
def test_passages_joined_are_the_text_and_none_is_too_long(piece: str, times: int) -> None:
    text = (piece or "x") * times
    cut = list(passages(text))
    assert "".join(cut) == text
    assert all(0 < len(passage) <= PASSAGE_LENGTH for passage in cut)


def test_empty_text_has_no_passages() -> None:
    assert list(passages("")) == []


def test_passage_ends_before_a_heading_when_there_is_one() -> None:
    text = "word " * 400 + "\n# Heading\n" + "word " * 2000
    assert next(passages(text)) == "word " * 400 + "\n"


def test_passage_ends_behind_a_paragraph_rather_than_a_line() -> None:
    text = "line\n" * 300 + "\n" + "line\n" * 2000
    assert next(passages(text)) == "line\n" * 300 + "\n"


def test_passage_of_one_long_word_is_cut_hard() -> None:
    assert [len(passage) for passage in passages("x" * (PASSAGE_LENGTH + 1))] == [PASSAGE_LENGTH, 1]
