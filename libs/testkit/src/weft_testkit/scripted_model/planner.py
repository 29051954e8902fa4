"""What the scripted model answers: tool calls, or a text that quotes what it was told."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from weft_testkit.scripted_model.conversation import Conversation, Json, text_of
from weft_testkit.scripted_model.grammar import Script

QUOTED_USER_CHARACTERS = 16_000
QUOTED_RESULT_CHARACTERS = 600
DOCUMENT_ID = re.compile(r"\bdoc_[0-9a-z]{26}\b")
DIRECTIVE = re.compile(r"^\s*call (\w+)(?: (\{.*\}))?\s*$", re.MULTILINE)
QUOTED = re.compile(r"[\"“]([^\"”]+)[\"”]")
SEARCH_WORDS = re.compile(r"\b(search|find|look up|look for)\b", re.IGNORECASE)
READ_WORDS = re.compile(r"\b(read|open)\b", re.IGNORECASE)
TASK_WORDS = re.compile(r"\b(task|to-?do|remind)", re.IGNORECASE)
QUERY = re.compile(
    r"\b(?:search|find|look up|look)\b(?:.*?\b(?:for|about|on))?\s+(.+?)(?=[.,;:!?]|\s+(?:and|then)\b|$)", re.I
)
TITLE_WANTED = re.compile(r"\bwrite a title for this conversation\b", re.IGNORECASE)
TITLE = re.compile(r"\btask\b(?:\s+(?:to|for|called|named|titled))?:?\s+(.+?)(?=[.;!?\n]|$)", re.I)


@dataclass(frozen=True, slots=True)
class PlannedCall:
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Either calls or a text."""

    text: str = ""
    calls: tuple[PlannedCall, ...] = ()


def make_plan(conversation: Conversation, script: Script) -> Plan:
    if conversation.tools and conversation.tool_choice != "none":
        calls = _forced(conversation, script) or _scripted(conversation, script) or _wanted(conversation)
        if calls:
            return Plan(calls=tuple(_spoil(call, script.args) for call in calls))
    return Plan(text=answer_text(conversation))


def answer_text(conversation: Conversation) -> str:
    """Quotes every result of this turn, then the whole user turn. Who asks for a title gets the first words said."""
    if TITLE_WANTED.search(text_of(conversation.messages[0])):
        said = conversation.user_text.removeprefix("User: ").partition("\n")[0].split()
        return f"About: {' '.join(said[:6])}"
    lines = [
        f"{result.name} returned: {_shortened(result.text, QUOTED_RESULT_CHARACTERS)}"
        for result in conversation.results
    ]
    lines.append(f'You said: "{_shortened(conversation.user_text, QUOTED_USER_CHARACTERS)}"')
    return "\n".join(lines)


def _forced(conversation: Conversation, script: Script) -> list[PlannedCall]:
    """`tool_choice` names a tool, or requires one (then the one wanted, or the first)."""
    choice = conversation.tool_choice
    if choice == "required":
        first = conversation.tools[0]
        return _scripted(conversation, script) or _wanted(conversation) or [_call(conversation, first)]
    if isinstance(choice, Mapping):
        tool = conversation.tool_named(choice.get("function", {}).get("name", ""))
        return [_call(conversation, tool)] if tool else []
    return []


def _scripted(conversation: Conversation, script: Script) -> list[PlannedCall]:
    """`tools=n`: that many rounds of `calls=k` calls of the tool named, offered or not."""
    if conversation.rounds >= script.tools:
        return []
    name = script.tool or str(conversation.tools[0]["name"])
    tool = conversation.tool_named(name) or {"name": name}
    return [_call(conversation, tool) for _ in range(script.calls)]


def _wanted(conversation: Conversation) -> list[PlannedCall]:
    """One call a round: the user's own `call NAME {…}` lines, else search, then read, then create a task."""
    directives = DIRECTIVE.findall(conversation.user_text)
    if directives:
        left = directives[conversation.rounds :]
        return [PlannedCall(left[0][0], left[0][1] or "{}")] if left else []
    done = {result.name for result in conversation.results}
    for name, is_wanted in STEPS.items():
        tool = conversation.tool_named(name)
        if tool and name not in done and is_wanted(conversation):
            return [_call(conversation, tool)]
    return []


STEPS: Mapping[str, Callable[[Conversation], bool]] = {
    "search_documents": lambda conversation: bool(SEARCH_WORDS.search(conversation.user_text)),
    "read_document": lambda conversation: bool(
        READ_WORDS.search(conversation.user_text) and document_id_in(conversation)
    ),
    "create_task": lambda conversation: bool(TASK_WORDS.search(conversation.user_text)),
}


def query_in(text: str) -> str:
    """The first quoted phrase; else what follows `search for`; else the whole text."""
    match = QUOTED.search(text) or QUERY.search(text)
    return (match.group(1) if match else text).strip()


def title_in(text: str) -> str:
    """The last quoted phrase after the word task; else what follows that word; else a default."""
    word = TASK_WORDS.search(text)
    rest = text[word.start() :] if word else ""
    quoted = QUOTED.findall(rest)
    if quoted:
        return str(quoted[-1]).strip()
    match = TITLE.search(rest)
    return match.group(1).strip() if match else f"Follow up: {query_in(text)}"


def document_id_in(conversation: Conversation) -> str:
    """The first id of the newest result that has one; else the first that the user wrote."""
    for text in [result.text for result in reversed(conversation.results)] + [conversation.user_text]:
        match = DOCUMENT_ID.search(text)
        if match:
            return match.group()
    return ""


def _call(conversation: Conversation, tool: Json) -> PlannedCall:
    schema = tool.get("parameters") or {}
    properties: Json = schema.get("properties") or {}
    arguments = {name: _argument(conversation, name, properties.get(name, {})) for name in schema.get("required") or ()}
    if not arguments and "title" in properties:
        arguments["title"] = title_in(conversation.user_text)
    return PlannedCall(str(tool["name"]), json.dumps(arguments, ensure_ascii=False))


def _argument(conversation: Conversation, name: str, schema: Json) -> Any:
    """A value that fits the schema; texts are taken from the conversation by the argument's name."""
    if schema.get("enum"):
        return schema["enum"][0]
    if schema.get("type", "string") != "string":
        empty: Json = {"integer": 1, "number": 1.0, "boolean": False, "array": [], "object": {}}
        return schema.get("minimum", empty.get(schema["type"]))
    if name in ("title", "name", "subject"):
        return title_in(conversation.user_text)
    if name in ("id", "document", "document_id"):
        return document_id_in(conversation)
    return query_in(conversation.user_text) if name == "query" else conversation.user_text


def _spoil(call: PlannedCall, how: str) -> PlannedCall:
    spoiled = {"invalid": '{"query": "never clos', "wrong": '{"no_such_argument": true}', "empty": ""}
    return PlannedCall(call.name, spoiled.get(how, call.arguments))


def _shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[:limit] + "…"
