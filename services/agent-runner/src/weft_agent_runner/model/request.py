"""A model request in the words of the wire."""

import json
from typing import Any

from weft_agent_runner.domain.model import ModelMessage, ModelRequest, Role, ToolCall, ToolSpec


def request_body(request: ModelRequest) -> dict[str, Any]:
    body: dict[str, Any] = {
        **request.parameters,
        "model": request.model,
        "messages": [_message(message) for message in request.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
    else:
        # A choice among no tools is refused by providers.
        body.pop("tool_choice", None)
        body.pop("parallel_tool_calls", None)
    return body


def _message(message: ModelMessage) -> dict[str, Any]:
    """`content` is a text even where there are only calls: some servers refuse null, others its absence."""
    made: dict[str, Any] = {"role": message.role.value, "content": message.text}
    if message.role is Role.TOOL:
        made["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        made["tool_calls"] = [_tool_call(call) for call in message.tool_calls]
    return made


def _tool_call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": _valid_json(call.arguments)}
    return {"id": call.id, "type": "function", "function": function}


def _valid_json(arguments: str) -> str:
    """Providers that render the context through a template refuse a call of earlier whose arguments are no JSON."""
    try:
        json.loads(arguments)
    except ValueError:
        return json.dumps({"invalid_json": arguments}, ensure_ascii=False)
    return arguments


def _tool(tool: ToolSpec) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}
