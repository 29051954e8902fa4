"""Reading and changing requests by the paths of their fields."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.message import Message


def value_at(message: Message, path: str) -> str:
    """Return the text at a path, "" where it is not set."""
    parent, name = _parent_of(message, path)
    if parent is None or (_has_presence(parent, name) and not parent.HasField(name)):
        return ""
    return str(getattr(parent, name))


def changed(message: Message, values: Mapping[str, str]) -> Message:
    """Return a copy with these fields, by path, set."""
    copy = type(message)()
    copy.CopyFrom(message)
    for path, value in values.items():
        parent, name = _parent_of(copy, path)
        setattr(parent, name, value)
    return copy


def with_token(message: Message, page_token: str) -> Message:
    copy = type(message)()
    copy.CopyFrom(message)
    setattr(copy, "page_token", page_token)  # noqa: B010 - every list has one
    return copy


def _parent_of(message: Message, path: str) -> tuple[Any, str]:
    """Return the message that holds the field: the first element where the path goes through a list."""
    *before, name = path.split(".")
    found: Any = message
    for each in before:
        found = getattr(found, each)
        if not isinstance(found, Message):
            found = found[0] if len(found) else None
    return found, name


def _has_presence(message: Message, name: str) -> bool:
    return bool(message.DESCRIPTOR.fields_by_name[name].has_presence)
