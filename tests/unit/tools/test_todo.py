"""The todo list, as a pure function of its state."""

import json
from typing import Any

import pytest
from weft_tools.builtin.todo import AGENT_TODO, MAX_ITEMS, changed, shown
from weft_tools.domain.outcome import MAX_CONTENT_BYTES, completed
from weft_tools.domain.registry import Registry
from weft_tools.domain.tool import ToolError
from weft_tools.schema import compile_schema

CHECK = Registry([AGENT_TODO], compile_schema).get("todo").check


def after(*calls: dict[str, Any]) -> Any:
    """Return what the last of some calls shows, each given what the one before returned."""
    state = ""
    for arguments in calls:
        assert list(CHECK(arguments)) == []
        state = completed(shown(changed(arguments, state)), 0).content
    return json.loads(state)


def items(*texts: str) -> list[dict[str, str]]:
    return [{"text": text} for text in texts]


WRITTEN = {"operation": "write", "items": items("plan", "do", "check")}


def test_a_list_is_written_added_to_changed_and_read() -> None:
    shown_last = after(
        WRITTEN,
        {"operation": "update", "updates": [{"id": 1, "status": "completed"}, {"id": 2, "status": "in_progress"}]},
        {"operation": "add", "items": [{"text": "rest", "status": "in_progress"}]},
        {"operation": "update", "updates": [{"id": 3, "text": "check twice"}]},
        {"operation": "read"},
    )
    assert shown_last == {
        "items": [
            {"id": 1, "text": "plan", "status": "completed"},
            {"id": 2, "text": "do", "status": "in_progress"},
            {"id": 3, "text": "check twice", "status": "pending"},
            {"id": 4, "text": "rest", "status": "in_progress"},
        ],
        "counts": {"pending": 1, "in_progress": 2, "completed": 1},
    }


def test_without_a_state_the_list_is_empty_and_writing_begins_it_anew() -> None:
    assert after({"operation": "read"})["items"] == []
    assert [item["id"] for item in after(WRITTEN, WRITTEN)["items"]] == [1, 2, 3]
    assert after(WRITTEN, {"operation": "write", "items": []})["items"] == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            {"operation": "update", "updates": [{"id": 4, "status": "completed"}]},
            "there is no item 4; there are 1, 2, 3",
        ),
        ({"operation": "write"}, "needs items"),
        ({"operation": "add"}, "needs items"),
        ({"operation": "update"}, "needs updates"),
        ({"operation": "add", "items": items(*"x" * (MAX_ITEMS - 2))}, "may have 50 items"),
    ],
)
def test_what_does_not_fit_the_list_tells_what_to_do(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(ToolError, match=told):
        after(WRITTEN, arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"operation": "clear"},
        {"operation": "write", "items": items(*"x" * (MAX_ITEMS + 1))},
        {"operation": "write", "items": [{"text": ""}]},
        {"operation": "write", "items": [{"text": "x" * 201}]},
        {"operation": "write", "items": [{"text": "x", "status": "done"}]},
        {"operation": "update", "updates": []},
        {"operation": "update", "updates": [{"status": "completed"}]},
    ],
)
def test_arguments_out_of_bounds_do_not_fit_the_schema(arguments: dict[str, Any]) -> None:
    assert CHECK(arguments)


@pytest.mark.parametrize(
    "state",
    [
        "not JSON",
        "[]",
        '{"items": 1}',
        '{"items": [{}]}',
        '{"items": [{"id": "x", "text": "", "status": "pending"}]}',
        '{"items": [{"id": 1, "text": "x", "status": []}]}',
        '{"items": [{"id": 1, "text": "x", "status": "done"}]}',
        "[" * 100_000,
    ],
)
def test_a_state_that_is_no_list_is_refused_and_can_be_written_over(state: str) -> None:
    with pytest.raises(ToolError):
        changed({"operation": "read"}, state)
    assert len(changed(WRITTEN, state)) == 3


@pytest.mark.parametrize("character", ["\U0001f33f", '"', "\x01", "\\"])
def test_the_largest_list_is_a_state_again(character: str) -> None:
    largest = {"operation": "write", "items": items(*[character * 200] * MAX_ITEMS)}
    done = completed(shown(changed(largest, "")), 0)
    assert not done.is_truncated
    assert len(done.content.encode()) < MAX_CONTENT_BYTES
    assert len(changed({"operation": "read"}, done.content)) == MAX_ITEMS
