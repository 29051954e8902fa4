from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weft_core.errors import InvalidFieldsError
from weft_core.ids import KINDS, format_id, parse_id

# The specification's own example.
KNOWN = UUID("0188bac7-4afa-78aa-bc3b-bd1eef28d881"), "01h2xcejqtf2nbrexx3vqjhp41"


def test_the_text_is_that_of_the_specification() -> None:
    assert format_id("run", KNOWN[0]) == f"run_{KNOWN[1]}"
    assert parse_id("run", f"run_{KNOWN[1]}") == KNOWN[0]


@given(st.uuids(), st.sampled_from(sorted(KINDS)))
def test_every_uuid_comes_back_whatever_its_kind(value: UUID, prefix: str) -> None:
    assert parse_id(prefix, format_id(prefix, value)) == value


@given(st.uuids(), st.uuids())
def test_ids_sort_as_their_uuids_do(first: UUID, second: UUID) -> None:
    assert (format_id("run", first) < format_id("run", second)) == (first < second)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "run",
        "run_",
        KNOWN[1],
        f"RUN_{KNOWN[1]}",
        f"run_{KNOWN[1].upper()}",
        f"run_8{KNOWN[1][1:]}",
        f"run_{KNOWN[1][:-1]}",
        f"run_{KNOWN[1]}0",
        f"run_{KNOWN[1][:-1]}l",
        f"run_{KNOWN[1][:-1]}é",
        f" run_{KNOWN[1]}",
        f"run_{KNOWN[1]}\n",
        f"run_{KNOWN[1][:-1]}_",
    ],
)
def test_only_the_canonical_text_is_taken(text: str) -> None:
    with pytest.raises(InvalidFieldsError) as caught:
        parse_id("run", text)
    assert caught.value.violations[0].field == "run_id"


def test_both_kinds_are_named_when_they_differ() -> None:
    with pytest.raises(InvalidFieldsError) as caught:
        parse_id("run", f"thr_{KNOWN[1]}", "parent")
    violation = caught.value.violations[0]
    assert violation.field == "parent"
    assert "a thread id" in violation.description
    assert "a run id" in violation.description
