from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from weft_agent_runner.model.assembly import MAX_TOOL_CALLS, Assembly, OutputTooLargeError
from weft_agent_runner.model.chunks import Chunk
from weft_core.text import storable


def text_chunk(text: str) -> Chunk:
    return msgspec.convert({"choices": [{"delta": {"content": text}}]}, Chunk)


def call_chunk(arguments: str = "", **piece: Any) -> Chunk:
    call = {"function": {"arguments": arguments, "name": piece.pop("name", None)}, **piece}
    return msgspec.convert({"choices": [{"delta": {"tool_calls": [call]}}]}, Chunk)


def assembled(*chunks: Chunk, max_output_bytes: int = 1000) -> Assembly:
    assembly = Assembly(max_output_bytes)
    for chunk in chunks:
        assembly.add(chunk)
    assembly.last_text()
    return assembly


@given(st.lists(st.text(st.characters(codec=None), max_size=4)))
def test_text_is_storable_and_the_same_however_it_is_cut(pieces: list[str]) -> None:
    assert assembled(*map(text_chunk, pieces), max_output_bytes=10_000).text == storable("".join(pieces))


def test_pieces_join_to_the_text_when_a_pair_is_split() -> None:
    assembly = Assembly(1000)
    assert [assembly.add(text_chunk(text)) for text in ("a", "\ud83d", "\ude00b")] == ["a", "", "\U0001f600b"]


def test_calls_without_index_are_told_apart_by_their_ids() -> None:
    calls = assembled(
        call_chunk('{"a":', id="x", name="t"), call_chunk("1}"), call_chunk("{}", id="y", name="u")
    ).completion()
    assert [(call.id, call.name, call.arguments) for call in calls.tool_calls] == [
        ("x", "t", '{"a":1}'),
        ("y", "u", "{}"),
    ]


def test_call_stays_one_when_its_id_changes_in_mid_arguments() -> None:
    [call] = (
        assembled(call_chunk('{"a":', index=0, id="x", name="t"), call_chunk("1}", index=0, id="x2", name="t"))
        .completion()
        .tool_calls
    )
    assert (call.id, call.arguments) == ("x", '{"a":1}')


def test_calls_get_ids_of_their_own_when_the_model_gave_none_or_the_same() -> None:
    made = assembled(
        call_chunk("{}", index=0, name="t", id="same"),
        call_chunk("{}", index=1, name="t", id="same"),
        call_chunk("{}", index=2, name="t"),
    ).completion()
    assert [call.id for call in made.tool_calls] == ["same", "call_1", "call_2"]


def test_indexes_may_begin_anywhere_and_interleave() -> None:
    made = assembled(
        call_chunk("{", index=3, id="x", name="t"),
        call_chunk("[", index=5, id="y", name="u"),
        call_chunk("}", index=3),
        call_chunk("]", index=5),
    ).completion()
    assert [call.arguments for call in made.tool_calls] == ["{}", "[]"]


@pytest.mark.parametrize("chunk", [text_chunk("é" * 6), call_chunk("é" * 5, index=0, id="x", name="t")])
def test_output_beyond_its_budget_in_bytes_is_refused(chunk: Chunk) -> None:
    assembled(chunk, max_output_bytes=12)
    with pytest.raises(OutputTooLargeError):
        assembled(chunk, max_output_bytes=11)


def test_answer_with_too_many_tool_calls_is_refused() -> None:
    calls = [call_chunk("{}", index=number, id=f"c{number}", name="t") for number in range(MAX_TOOL_CALLS)]
    assert len(assembled(*calls, max_output_bytes=10_000).completion().tool_calls) == MAX_TOOL_CALLS
    with pytest.raises(OutputTooLargeError):
        assembled(*calls, call_chunk("{}", index=MAX_TOOL_CALLS, name="t"), max_output_bytes=10_000)


@pytest.mark.parametrize("tokens", [2**63, 2**200, -1])
def test_usage_is_unknown_when_the_provider_tells_nonsense(tokens: int) -> None:
    text = f'{{"usage":{{"prompt_tokens":5,"completion_tokens":{tokens}}}}}'
    assert assembled(msgspec.json.decode(text, type=Chunk)).completion().usage is None
