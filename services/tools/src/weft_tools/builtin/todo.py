"""The agent's own list of what is to be done. It is kept nowhere: its last result in the conversation is the list."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from weft_tools.builtin.pages import name_of
from weft_tools.domain.tool import Arguments, Tool, ToolContext, ToolError

STATUSES: Final = ("pending", "in_progress", "completed")
# Fifty texts of 200 characters of four bytes still fit into what a model is given, and into the state of a call.
MAX_ITEMS: Final = 50
MAX_TEXT: Final = 200


@dataclass(frozen=True, slots=True)
class Item:
    """`number` is from 1, in the order of the list, and stays with its item until the list is written anew."""

    number: int
    text: str
    status: str = "pending"


TodoList = tuple[Item, ...]


async def todo(arguments: Arguments, context: ToolContext) -> object:
    return shown(changed(arguments, context.state))


def changed(arguments: Arguments, state: str) -> TodoList:
    """Return the list after an operation. Raises: ToolError."""
    operation = arguments["operation"]
    if operation == "write":  # needs no list, so that one that cannot be read can be replaced
        return _bounded(_added((), _given(arguments, "items", operation)))
    items = parsed(state)
    if operation == "add":
        return _bounded(_added(items, _given(arguments, "items", operation)))
    if operation == "update":
        return _updated(items, _given(arguments, "updates", operation))
    return items


def parsed(state: str) -> TodoList:
    """Return the list that a result of this tool shows; no state is an empty list. Raises: ToolError."""
    if not state:
        return ()
    try:
        items = tuple(Item(int(each["id"]), str(each["text"]), each["status"]) for each in json.loads(state)["items"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ToolError("the list so far cannot be read; make a new one with the operation write") from None
    return _bounded(items)


def shown(items: TodoList) -> dict[str, object]:
    return {
        "items": [{"id": item.number, "text": item.text, "status": item.status} for item in items],
        "counts": {status: sum(item.status == status for item in items) for status in STATUSES},
    }


def _given(arguments: Arguments, name: str, operation: str) -> Sequence[Mapping[str, Any]]:
    if name not in arguments:
        raise ToolError(f"the operation {operation} needs {name}")
    given: Sequence[Mapping[str, Any]] = arguments[name]
    return given


def _added(items: TodoList, new: Sequence[Mapping[str, Any]]) -> TodoList:
    first = max((item.number for item in items), default=0) + 1
    added = (Item(first + place, each["text"], each.get("status", "pending")) for place, each in enumerate(new))
    return (*items, *added)


def _updated(items: TodoList, updates: Sequence[Mapping[str, Any]]) -> TodoList:
    by_number = {item.number: item for item in items}
    for each in updates:
        item = by_number.get(each["id"])
        if item is None:
            known = ", ".join(str(number) for number in by_number) or "none"
            raise ToolError(f"there is no item {each['id']}; there are {known}")
        by_number[item.number] = replace(item, text=each.get("text", item.text), status=each.get("status", item.status))
    return _bounded(tuple(by_number.values()))


def _bounded(items: TodoList) -> TodoList:
    """Return the items with their texts on one line. Raises: ToolError."""
    if len(items) > MAX_ITEMS:
        raise ToolError(f"the list may have {MAX_ITEMS} items; write it anew without those that are done")
    if any(item.status not in STATUSES for item in items):
        raise ToolError(f"a status is one of {', '.join(STATUSES)}")
    return tuple(replace(item, text=name_of(item.text)) for item in items)


_TEXT: Final = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_TEXT,
    "description": "What is to be done, in a line.",
}
_STATUS: Final = {"type": "string", "enum": list(STATUSES)}

AGENT_TODO = Tool(
    name="todo",
    description=(
        "Your own list of what is to be done in this conversation. Use it for work of several steps: write the list "
        "first, set an item to in_progress when you begin it and to completed when it is done. Every call returns the "
        "whole list."
    ),
    parameters={
        "type": "object",
        "properties": {
            "operation": {
                "type": "string",
                "enum": ["write", "add", "update", "read"],
                "description": "write replaces the list by items, add appends items, update changes items by their id.",
            },
            "items": {
                "type": "array",
                "maxItems": MAX_ITEMS,
                "description": "Of write and add. Ids are given in order; status is pending by default.",
                "items": {
                    "type": "object",
                    "properties": {"text": _TEXT, "status": _STATUS},
                    "required": ["text"],
                    "additionalProperties": False,
                },
            },
            "updates": {
                "type": "array",
                "minItems": 1,
                "maxItems": MAX_ITEMS,
                "description": "Of update.",
                "items": {
                    "type": "object",
                    "properties": {"id": {"type": "integer", "minimum": 1}, "status": _STATUS, "text": _TEXT},
                    "required": ["id"],
                    "additionalProperties": False,
                },
            },
        },
        "required": ["operation"],
        "additionalProperties": False,
    },
    handler=todo,
    timeout_seconds=60.0,
    is_idempotent=True,
    keeps_state=True,
)
