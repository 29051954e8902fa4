"""What a model is asked for a title, and what is taken of its answer."""

import pytest
from weft_agent_runner.domain.model import ModelMessage, Role, ToolCall
from weft_agent_runner.domain.title import MAX_CHARACTERS, title_in, title_request

USER = ModelMessage(Role.USER, "How do I prune roses?")
ANSWER = ModelMessage(Role.ASSISTANT, "In March, above an outward bud.")


@pytest.mark.parametrize(
    ("answer", "title"),
    [
        ("Pruning roses", "Pruning roses"),
        ('"Pruning roses"\n', "Pruning roses"),
        ("**Pruning  roses**", "Pruning roses"),
        ("\n\n# Pruning roses\nand more", "Pruning roses"),
        ("„Rosen schneiden“", "Rosen schneiden"),
        ("a\0b \ud83d", "a\ufffdb \ufffd"),
        ("", ""),
        (" \n * \n", ""),
        ("word " * 100, ("word " * 16)[: MAX_CHARACTERS - 1] + "…"),
    ],
)
def test_title_is_one_clean_line(answer: str, title: str) -> None:
    assert title_in(answer) == title


def test_request_shows_the_question_and_the_answer_and_offers_no_tools() -> None:
    called = ModelMessage(Role.ASSISTANT, "", (ToolCall("1", "search", "{}"),))
    told = ModelMessage(Role.TOOL, "found", tool_call_id="1")
    request = title_request("some-model", [USER, called, told, ANSWER])
    assert request is not None
    assert (request.model, request.tools) == ("some-model", ())
    assert [message.role for message in request.messages] == [Role.SYSTEM, Role.USER]
    assert request.messages[1].text == f"User: {USER.text}\n\nAssistant: {ANSWER.text}"


def test_request_is_small_however_long_the_conversation_is() -> None:
    request = title_request("m", [ModelMessage(Role.USER, "x" * 10**6), ModelMessage(Role.ASSISTANT, "y" * 10**6)])
    assert request is not None
    assert sum(len(message.text) for message in request.messages) < 5000


@pytest.mark.parametrize(
    "conversation", [[], [USER], [ANSWER], [USER, ModelMessage(Role.ASSISTANT, " ")], [USER, ANSWER, USER]]
)
def test_nothing_is_asked_without_a_question_and_its_answer(conversation: list[ModelMessage]) -> None:
    assert title_request("m", conversation) is None
