"""A chat-completions request, read the way the planner needs it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]


class RequestError(ValueError):
    """The body is not a chat-completions request."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Conversation:
    model: str
    messages: Sequence[Json]
    tools: Sequence[Json]
    tool_choice: str | Json
    stream: bool
    include_usage: bool
    user_text: str
    rounds: int
    """How often tools were called since the last user turn."""
    results: tuple[ToolResult, ...]
    """What tools returned since the last user turn, in order."""
    key: str
    """The same for every call of one conversation: the model and the first user message."""

    def tool_named(self, name: str) -> Json | None:
        return next((tool for tool in self.tools if tool.get("name") == name), None)


def read_request(body: object) -> Conversation:
    """Raises: RequestError."""
    if not isinstance(body, Mapping):
        raise RequestError("The body must be a JSON object.")
    model, messages = body.get("model"), body.get("messages")
    if not isinstance(model, str) or not model:
        raise RequestError("you must provide a model parameter")
    if not isinstance(messages, list) or not messages or not all(isinstance(message, Mapping) for message in messages):
        raise RequestError("'messages' must be a list of at least one message.")
    _check_tool_pairs(messages)
    start, text = _last_user_turn(messages)
    tail = messages[start:]
    options = body.get("stream_options") or {}
    return Conversation(
        model=model,
        messages=messages,
        tools=[tool["function"] for tool in body.get("tools") or [] if isinstance(tool.get("function"), Mapping)],
        tool_choice=body.get("tool_choice") or "auto",
        stream=bool(body.get("stream")),
        include_usage=bool(options.get("include_usage")),
        user_text=text,
        rounds=sum(1 for message in tail if message.get("tool_calls")),
        results=_results(tail),
        key=f"{model}\n{_first_user_text(messages)}",
    )


def text_of(message: Json) -> str:
    """The texts of a message, joined, whether it has one content or parts."""
    content = message.get("content")
    if isinstance(content, list):
        return "\n".join(part.get("text", "") for part in content if part.get("type") == "text")
    return content if isinstance(content, str) else ""


def _check_tool_pairs(messages: Sequence[Json]) -> None:
    """Refuse what real providers refuse: calls without results, results without calls."""
    open_ids: set[str] = set()
    for message in messages:
        if message.get("role") == "tool":
            if message.get("tool_call_id") not in open_ids:
                raise RequestError("messages with role 'tool' must respond to a preceding message with 'tool_calls'.")
            open_ids.discard(message["tool_call_id"])
            continue
        if open_ids:
            break
        open_ids = {call["id"] for call in message.get("tool_calls") or ()}
    if open_ids:
        raise RequestError(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. The following did not have response messages: {', '.join(sorted(open_ids))}"
        )


def _last_user_turn(messages: Sequence[Json]) -> tuple[int, str]:
    """Where what follows the last run of user messages begins, and their texts joined."""
    end = next((at + 1 for at in reversed(range(len(messages))) if messages[at].get("role") == "user"), 0)
    start = end
    while start and messages[start - 1].get("role") == "user":
        start -= 1
    return end, "\n".join(text_of(message) for message in messages[start:end])


def _results(tail: Sequence[Json]) -> tuple[ToolResult, ...]:
    """An id means the nearest call before: models repeat ids from turn to turn."""
    names: dict[str, str] = {}
    results = []
    for message in tail:
        names.update((call["id"], call["function"]["name"]) for call in message.get("tool_calls") or ())
        if message.get("role") == "tool":
            results.append(ToolResult(names.get(message["tool_call_id"], ""), text_of(message)))
    return tuple(results)


def _first_user_text(messages: Sequence[Json]) -> str:
    return next((text_of(message) for message in messages if message.get("role") == "user"), "")
