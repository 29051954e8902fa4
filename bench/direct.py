"""The same work without Weft: a loop around the openai client, in this process, that keeps nothing."""

from typing import Any

from world import World

QUESTION = "Hello there"
SEARCH: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "search_documents",
        "description": "Search the documents of the project.",
        "parameters": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
    },
}


async def answer(world: World, model: str, text: str = QUESTION) -> int:
    """Stream one answer; return how many pieces of text came."""
    stream = await world.model.chat.completions.create(
        model=model, messages=[{"role": "user", "content": text}], stream=True
    )
    pieces = 0
    async for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            pieces += 1
    return pieces


async def tool_run(world: World, model: str, text: str = QUESTION) -> None:
    """Model call, one tool call that finds nothing, model call."""
    messages: list[Any] = [{"role": "user", "content": text}]
    calls = await _turn(world, model, messages)
    messages.append({"role": "assistant", "content": None, "tool_calls": calls})
    messages += [{"role": "tool", "tool_call_id": call["id"], "content": '{"hits": []}'} for call in calls]
    if await _turn(world, model, messages):
        raise RuntimeError("the model asked for another tool call")


async def _turn(world: World, model: str, messages: list[Any]) -> list[dict[str, Any]]:
    create: Any = world.model.chat.completions.create
    stream = await create(model=model, messages=messages, tools=[SEARCH], stream=True)
    calls: list[dict[str, Any]] = []
    async for chunk in stream:
        for piece in (chunk.choices[0].delta.tool_calls or []) if chunk.choices else []:
            if piece.id:
                calls.append({"id": piece.id, "type": "function", "function": {"name": "", "arguments": ""}})
            if piece.function is not None:
                calls[-1]["function"]["name"] += piece.function.name or ""
                calls[-1]["function"]["arguments"] += piece.function.arguments or ""
    return calls
