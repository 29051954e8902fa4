from hypothesis import given
from hypothesis import strategies as st
from weft_core.text import byte_length, cut_to_bytes, cut_to_code_points, split_trailing_surrogate, storable

ANY_TEXT = st.text(st.characters(codec=None), max_size=50)


def test_nul_and_lone_surrogates_become_replacement_characters() -> None:
    assert storable("a\x00b\ud83dc\ude00") == "a\ufffdb\ufffdc\ufffd"


def test_a_pair_that_came_in_halves_becomes_one_character() -> None:
    assert storable("a\ud83d\ude00\x00") == "a\U0001f600\ufffd"


def test_a_byte_order_mark_is_kept() -> None:
    assert storable("\ufeffa\ud800") == "\ufeffa\ufffd"


@given(ANY_TEXT)
def test_what_is_storable_has_a_utf8_form_without_nul(text: str) -> None:
    assert b"\x00" not in storable(text).encode()


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=50))
def test_proper_text_stays_as_it_is(text: str) -> None:
    assert storable(text) == text


@given(ANY_TEXT, ANY_TEXT)
def test_pieces_with_a_held_back_surrogate_make_the_whole(first: str, second: str) -> None:
    begun, rest = split_trailing_surrogate(first)
    assert storable(begun) + storable(rest + second) == storable(first + second)


@given(st.text(max_size=40), st.integers(0, 60))
def test_a_cut_text_is_the_longest_beginning_that_fits(text: str, limit: int) -> None:
    cut = cut_to_bytes(text, limit)
    assert text.startswith(cut)
    assert byte_length(cut) <= limit
    assert cut == text or byte_length(text[: len(cut) + 1]) > limit


def test_a_title_that_was_cut_shows_it() -> None:
    assert cut_to_code_points("abcdef", 4) == "abc…"
    assert cut_to_code_points("abcd", 4) == "abcd"
