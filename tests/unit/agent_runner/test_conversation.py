"""The state of tools that keep one, found in the conversation."""

import pytest
from weft_agent_runner.domain.conversation import MAX_MESSAGES_BACK, MAX_STATE_BYTES, Conversation
from weft_agent_runner.domain.model import ModelMessage, Role


def said(text: str = "hello") -> ModelMessage:
    return ModelMessage(Role.USER, text)


def result(text: str, tool: str = "todo") -> ModelMessage:
    return ModelMessage(Role.TOOL, text, tool_call_id="c", result_of=tool)


FAILED = ModelMessage(Role.TOOL, "Error: no", tool_call_id="c")


def test_the_state_is_the_last_successful_result_of_the_tool() -> None:
    conversation = Conversation([result("1"), result("2"), result("x", "other"), FAILED, said()])
    assert (conversation.state_of("todo"), conversation.state_of("other")) == ("2", "x")
    assert conversation.state_of("search") == ""
    conversation.add(result("3"))
    conversation.add(FAILED)
    assert (conversation.state_of("todo"), conversation.state_of("other")) == ("3", "x")


@pytest.mark.parametrize("is_asked_before", [True, False])
@pytest.mark.parametrize(("behind", "state"), [(MAX_MESSAGES_BACK - 1, "1"), (MAX_MESSAGES_BACK, "")])
def test_a_result_that_is_too_far_back_is_none(is_asked_before: bool, behind: int, state: str) -> None:
    conversation = Conversation([said(), result("1")])
    if is_asked_before:
        assert conversation.state_of("todo") == "1"
    for _ in range(behind):
        conversation.add(said())
    assert conversation.state_of("todo") == state


def test_a_result_that_no_call_may_carry_is_none() -> None:
    conversation = Conversation(
        [result("1"), result("é" * (MAX_STATE_BYTES // 2 + 1)), result("x" * MAX_STATE_BYTES, "b")]
    )
    assert (conversation.state_of("todo"), len(conversation.state_of("b"))) == ("", MAX_STATE_BYTES)


@pytest.mark.row("C3")
def test_no_message_is_looked_at_twice_however_often_the_state_is_asked_for() -> None:
    conversation = Conversation([said()] * 500 + [result("1")])
    assert conversation.looked_at == 0, "nobody has asked"
    for _ in range(1000):
        conversation.state_of("todo")
    assert conversation.looked_at == MAX_MESSAGES_BACK
    for number in range(1000):
        conversation.add(result(str(number), "todo") if number % 3 == 0 else said())
        conversation.state_of("todo")
        conversation.state_of("never called")
    assert conversation.looked_at == MAX_MESSAGES_BACK + 1000
    assert conversation.state_of("todo") == "999"
