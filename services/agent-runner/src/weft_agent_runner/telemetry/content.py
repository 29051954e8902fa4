"""What was said, in the shape that the GenAI conventions give it. Recorded only where that is asked for."""

import json
from collections.abc import Iterable

from weft_agent_runner.domain.model import ModelCompletion, ModelMessage, Role, ToolCall


def input_messages(messages: Iterable[ModelMessage]) -> str:
    return json.dumps([{"role": str(each.role), "parts": _parts(each)} for each in messages], ensure_ascii=False)


def output_messages(completion: ModelCompletion) -> str:
    said = ModelMessage(Role.ASSISTANT, completion.text, completion.tool_calls)
    message = {"role": "assistant", "parts": _parts(said), "finish_reason": str(completion.finish_reason)}
    return json.dumps([message], ensure_ascii=False)


def _parts(message: ModelMessage) -> list[dict[str, object]]:
    if message.tool_call_id is not None:
        return [{"type": "tool_call_response", "id": message.tool_call_id, "response": message.text}]
    parts: list[dict[str, object]] = [{"type": "text", "content": message.text}] if message.text else []
    return parts + [_call(each) for each in message.tool_calls]


def _call(call: ToolCall) -> dict[str, object]:
    return {"type": "tool_call", "id": call.id, "name": call.name, "arguments": call.arguments}
