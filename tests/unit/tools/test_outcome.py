"""What a model is given is bounded, whatever a tool returns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weft_tools.domain.outcome import MAX_CONTENT_BYTES, FailureReason, completed, failed


@given(st.text(st.characters(), max_size=40), st.sampled_from("aé€😀"), st.integers(-6, 6))
def test_content_fits_in_whole_code_points(prefix: str, filling: str, around: int) -> None:
    size = len(filling.encode())
    text = prefix + filling * (MAX_CONTENT_BYTES // size + around)
    outcome = completed(text, 0.0)
    whole = prefix.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\x00", "\ufffd")
    full = whole + filling * (MAX_CONTENT_BYTES // size + around)
    encoded = outcome.content.encode()
    assert len(encoded) <= MAX_CONTENT_BYTES
    assert full.startswith(outcome.content)
    assert outcome.is_truncated == (len(full.encode()) > MAX_CONTENT_BYTES)
    if outcome.is_truncated:
        assert len(encoded) > MAX_CONTENT_BYTES - 4


def test_a_hundred_megabytes_are_not_encoded_to_be_cut() -> None:
    outcome = completed("é" * (100 * 1024 * 1024), 0.0)
    assert len(outcome.content.encode()) == MAX_CONTENT_BYTES
    assert outcome.is_truncated


def test_what_is_no_text_becomes_json() -> None:
    assert completed({"ä": [1, None]}, 0.0).content == '{"ä": [1, null]}'
    assert completed(None, 0.0).content == "null"


@pytest.mark.parametrize(("text", "kept"), [("a\x00b", "a\ufffdb"), ("\ud83d\ude00", "😀"), ("x\udc00", "x\ufffd")])
def test_what_no_database_holds_is_replaced(text: str, kept: str) -> None:
    assert completed(text, 0.0).content == kept
    assert not completed(text, 0.0).is_truncated
    assert failed(FailureReason.FAILED, text).message == kept


def test_a_message_is_short() -> None:
    assert len(failed(FailureReason.FAILED, "x" * 100_000).message) == 2_000
