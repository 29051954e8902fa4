"""The model name as a script: `scripted:ttft=2,tps=50,count=200`. docs/scripted-model.md explains every key."""

from dataclasses import dataclass, fields
from typing import get_args

PREFIX = "scripted"
SILENT_AFTER_HEADERS = -1


class ScriptError(ValueError):
    """The model name is not a script; its text tells what to write instead."""


@dataclass(frozen=True, slots=True)
class Script:
    # pace
    ttft: float = 0.0
    tps: float = 0.0
    count: int | None = None
    # plan
    tools: int = 0
    tool: str = ""
    calls: int = 1
    args: str = "valid"
    pieces: int = 8
    # faults
    status: int | None = None
    code: str = ""
    retry_after: float | None = None
    retry_after_date: float | None = None
    cut: int | None = None
    nofinish: int | None = None
    malformed: int | None = None
    error: int | None = None
    silent: int | None = None
    fail_first: int | None = None
    fail_after: int = 0
    # what is in the text
    surrogates: str = "none"
    nul: bool = False
    line: int = 0
    # habits on the wire
    crlf: bool = False
    comments: bool = False
    no_space: bool = False
    no_done: bool = False
    no_usage: bool = False
    no_index: bool = False
    repeat_ids: bool = False
    choices: int = 1
    dribble: int = 0
    finish: str = ""
    # only to tell conversations apart
    tag: str = ""


WORDS = {
    "args": ("valid", "invalid", "wrong", "empty"),
    "surrogates": ("none", "lone", "split"),
}
FIELD_TYPES = {field.name: field.type for field in fields(Script)}


def parse_script(model: str) -> Script:
    """Raises: ScriptError."""
    prefix, _, rest = model.partition(":")
    if prefix != PREFIX:
        raise ScriptError(f"The model `{model}` does not exist: names begin with `{PREFIX}`.")
    values: dict[str, object] = {}
    for item in filter(None, rest.split(",")):
        key, has_value, text = item.partition("=")
        if not has_value or key not in FIELD_TYPES:
            raise ScriptError(f"`{item}` is no key=value of the scripted model; keys are {', '.join(FIELD_TYPES)}.")
        values[key] = _value(key, text)
    return Script(**values)  # type: ignore[arg-type]  # the values were made from the fields' own types


def _value(key: str, text: str) -> object:
    if key == "silent" and text == "headers":
        return SILENT_AFTER_HEADERS
    if key in WORDS and text not in WORDS[key]:
        raise ScriptError(f"`{key}` is one of {', '.join(WORDS[key])}, not `{text}`.")
    kind = next(iter(get_args(FIELD_TYPES[key])), FIELD_TYPES[key])
    try:
        value = bool(int(text)) if kind is bool else kind(text)  # type: ignore[operator]
    except ValueError as error:
        raise ScriptError(f"`{key}={text}`: a {kind.__name__} is wanted.") from error  # type: ignore[union-attr]
    if not isinstance(value, str) and value < 0:
        raise ScriptError(f"`{key}={text}`: must not be negative.")
    return value


def without_faults(script: Script, call_number: int) -> Script:
    """The script for the n-th call (from 1) of a conversation: `fail_after` and `fail_first` choose which fail."""
    begin = script.fail_after
    end = begin + script.fail_first if script.fail_first is not None else None
    if begin < call_number and (end is None or call_number <= end):
        return script
    kept = {field.name: getattr(script, field.name) for field in fields(Script) if field.name not in FAULTS}
    return Script(**kept)


FAULTS = frozenset(
    {"status", "code", "retry_after", "retry_after_date", "cut", "nofinish", "malformed", "error", "silent"}
)
