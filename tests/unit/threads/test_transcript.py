"""The transcript is valid and in order, whatever was merged, cut or cancelled."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weft_threads.runs.transcript import (
    NO_RESULT,
    ContextMessage,
    PendingCall,
    StoredMessage,
    Text,
    ToolCall,
    ToolResult,
    TurnRun,
    transcript,
)


def run_id(turn: int) -> UUID:
    return UUID(int=1000 + turn)


def a_run(turn: int, state: str = "succeeded", superseded_by: int | None = None) -> TurnRun:
    return TurnRun(run_id(turn), turn, state, run_id(superseded_by) if superseded_by else None)


def said(turn: int, text: str, index: int = 0, role: str = "user") -> StoredMessage:
    return StoredMessage(UUID(int=turn * 100 + index), turn, index, role, (Text(text),))


def answered(turn: int, index: int, text: str, step: int = 1, is_incomplete: bool = False) -> StoredMessage:
    message_id = UUID(int=turn * 100 + index)
    return StoredMessage(message_id, turn, index, "assistant", (Text(text),), run_id(turn), step, is_incomplete)


def called(turn: int, index: int, *names: str, step: int = 1) -> StoredMessage:
    calls = tuple(ToolCall("same-id", name, "{}", n) for n, name in enumerate(names))
    return StoredMessage(UUID(int=turn * 100 + index), turn, index, "assistant", calls, run_id(turn), step)


def resulted(turn: int, index: int, call: int, content: str, step: int = 1) -> StoredMessage:
    result = ToolResult("same-id", "tool", content, call)
    return StoredMessage(UUID(int=turn * 100 + index), turn, index, "tool", (result,), run_id(turn), step)


def texts(messages: tuple[ContextMessage, ...]) -> list[tuple[str, str]]:
    out = []
    for message in messages:
        part = message.parts[0]
        out.append(
            (message.role, part.text if isinstance(part, Text) else getattr(part, "content", part.__class__.__name__))
        )
    return out


def test_transcript_orders_by_turn_when_questions_came_before_the_first_answer() -> None:
    messages = [said(1, "a"), said(2, "b"), answered(1, 1, "A")]
    assert texts(transcript(messages, [a_run(1), a_run(2, "running")]).messages) == [
        ("user", "a"),
        ("assistant", "A"),
        ("user", "b"),
    ]


@pytest.mark.row("D3")
def test_transcript_joins_the_texts_of_merged_turns_at_the_first_one() -> None:
    messages = [said(1, "zero"), answered(1, 1, "ok"), said(2, "a"), said(3, "b"), said(4, "c")]
    runs = [a_run(1), a_run(2, "superseded", 3), a_run(3, "superseded", 4), a_run(4, "running")]
    assert texts(transcript(messages, runs).messages) == [
        ("user", "zero"),
        ("assistant", "ok"),
        ("user", "a\n---\nb\n---\nc"),
    ]


def test_transcript_keeps_tool_calls_of_a_superseded_run_but_not_its_text() -> None:
    messages = [
        said(1, "a"),
        called(1, 1, "search"),
        resulted(1, 2, 0, "found"),
        answered(1, 3, "partial", step=2, is_incomplete=True),
        said(2, "b"),
        answered(2, 1, "B"),
    ]
    got = transcript(messages, [a_run(1, "superseded", 2), a_run(2)]).messages
    assert texts(got) == [("user", "a\n---\nb"), ("assistant", "ToolCall"), ("tool", "found"), ("assistant", "B")]


def test_transcript_leaves_out_a_whole_answer_that_was_superseded_at_the_last_moment() -> None:
    messages = [said(1, "a"), answered(1, 1, "A"), said(2, "b")]
    assert texts(transcript(messages, [a_run(1, "superseded", 2), a_run(2, "running")]).messages) == [
        ("user", "a\n---\nb")
    ]


def test_transcript_keeps_the_partial_text_of_a_cancelled_run() -> None:
    messages = [said(1, "a"), answered(1, 1, "half", is_incomplete=True), said(2, "go on")]
    assert texts(transcript(messages, [a_run(1, "cancelled"), a_run(2, "running")]).messages) == [
        ("user", "a"),
        ("assistant", "half"),
        ("user", "go on"),
    ]


def test_transcript_makes_up_a_result_when_a_tool_call_of_an_ended_run_has_none() -> None:
    messages = [said(1, "a"), called(1, 1, "x", "y"), resulted(1, 2, 1, "second"), said(2, "b")]
    got = transcript(messages, [a_run(1, "cancelled"), a_run(2, "running")]).messages
    assert texts(got) == [
        ("user", "a"),
        ("assistant", "ToolCall"),
        ("tool", NO_RESULT),
        ("tool", "second"),
        ("user", "b"),
    ]


def test_transcript_names_calls_of_the_current_run_as_pending_when_they_have_no_result() -> None:
    messages = [said(1, "a"), called(1, 1, "x", "y"), resulted(1, 2, 1, "second")]
    got = transcript(messages, [a_run(1, "running")], run_id(1))
    assert got.pending == (PendingCall(1, ToolCall("same-id", "x", "{}", 0)),)
    assert texts(got.messages) == [("user", "a"), ("assistant", "ToolCall"), ("tool", "second")]


def test_transcript_puts_results_in_call_order_when_they_came_in_another() -> None:
    messages = [
        said(1, "a"),
        called(1, 1, "x", "y"),
        resulted(1, 2, 1, "second"),
        resulted(1, 3, 0, "first"),
        answered(1, 4, "A", 2),
    ]
    assert texts(transcript(messages, [a_run(1)]).messages)[2:] == [
        ("tool", "first"),
        ("tool", "second"),
        ("assistant", "A"),
    ]


OUTPUTS = st.lists(st.sampled_from(["call", "result0", "result1", "text", "cut"]), max_size=5)
TURNS = st.lists(
    st.tuples(st.sampled_from(["succeeded", "cancelled", "failed", "superseded", "queued"]), OUTPUTS), max_size=6
)


def rows_of(turns: list[tuple[str, list[str]]]) -> tuple[list[StoredMessage], list[TurnRun]]:
    messages, runs = [], []
    for turn, (state, outputs) in enumerate(turns, start=1):
        is_last = turn == len(turns)
        state = "cancelled" if is_last and state == "superseded" else state
        runs.append(a_run(turn, state, turn + 1 if state == "superseded" else None))
        messages.append(said(turn, f"u{turn}"))
        for index, kind in enumerate(outputs, start=1):
            made = {
                "call": called(turn, index, "x", "y", step=index),
                "result0": resulted(turn, index, 0, "r", step=index - 1),
                "result1": resulted(turn, index, 1, "r", step=index - 1),
                "text": answered(turn, index, "t"),
                "cut": answered(turn, index, "c", is_incomplete=True),
            }
            messages.append(made[kind])
    return messages, runs


@given(TURNS)
def test_transcript_is_valid_and_loses_no_question_whatever_happened(turns: list[tuple[str, list[str]]]) -> None:
    messages, runs = rows_of(turns)
    got = transcript(messages, runs).messages
    waiting = 0
    for message in got:
        assert (message.role == "tool") == (waiting > 0), "a result follows its call, and nothing else does"
        waiting = waiting - 1 if message.role == "tool" else sum(isinstance(part, ToolCall) for part in message.parts)
    assert waiting == 0
    joined = "\n---\n".join(
        str(part.text) for m in got if m.role == "user" for part in m.parts if isinstance(part, Text)
    )
    assert joined.split("\n---\n") == [f"u{turn}" for turn in range(1, len(turns) + 1)] or not turns
