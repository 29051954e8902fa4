"""From the model's text to checked values."""

import json
from typing import Any

import pytest
from weft_core.errors import InvalidArgumentError
from weft_tools.domain.arguments import digest_of, parse_arguments


@pytest.mark.parametrize("text", ["", "  \n", "{}"])
def test_no_arguments_are_an_empty_object(text: str) -> None:
    assert parse_arguments(text) == {}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"query": "never clos', "is not JSON"),
        ("[1]", "not an array"),
        ("null", "not null"),
        ('"text"', "not a string"),
        ("7", "not a number"),
        ("true", "not a boolean"),
        ('{"a": NaN}', "NaN is no JSON value"),
        ('{"a": -Infinity}', "Infinity is no JSON value"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 102 + "1" + "}" * 102, "nested too deeply"),
        ('{"a": 1e400}', "too large a number"),
        ("9" * 10_000, "is not JSON"),
    ],
)
def test_what_is_no_object_is_refused_and_named(text: str, told: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        parse_arguments(text)
    assert caught.value.reason == "TOOL_ARGUMENTS_INVALID"
    assert caught.value.violations[0].field == "arguments_json"
    assert told in caught.value.violations[0].description


def test_texts_become_storable_wherever_they_stand() -> None:
    parsed = parse_arguments(r'{"a\u0000": ["x\ud800", {"b": "\ud83d\ude00"}], "n": 1.5}')
    assert parsed == {"a\ufffd": ["x\ufffd", {"b": "\U0001f600"}], "n": 1.5}


def test_the_digest_ignores_order_and_spaces_and_nothing_else() -> None:
    first = digest_of(parse_arguments('{"a": 1, "b": {"c": 2, "d": 3}}'))
    assert first == digest_of(parse_arguments('{"b":{"d":3,"c":2},"a":1}'))
    others: list[Any] = [{"a": 1, "b": {"c": 2, "d": 4}}, {"a": "1", "b": {"c": 2, "d": 3}}, {"a": 1}]
    assert all(digest_of(parse_arguments(json.dumps(other))) != first for other in others)
