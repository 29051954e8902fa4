"""The model client against llama-cpp-python's server. docs/models.md says what came out."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from weft_agent_runner.domain.model import (
    FinishReason,
    ModelCallError,
    ModelCompletion,
    ModelFault,
    ModelMessage,
    ModelRequest,
    Role,
    ToolCall,
    ToolSpec,
)
from weft_agent_runner.model import OpenAIModel

pytestmark = pytest.mark.compat
ADD = ToolSpec(
    name="add",
    description="Add two numbers",
    parameters={
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    },
)
FORCED = {"type": "function", "function": {"name": "add"}}
HELLO = (ModelMessage(Role.SYSTEM, "You are brief."), ModelMessage(Role.USER, "Grüße! What is 2 + 3?"))


@pytest.fixture
async def model(llama_url: str) -> AsyncIterator[OpenAIModel]:
    async with OpenAIModel(base_url=llama_url, api_key="none", max_connections=4) as made:
        yield made


def a_request(*messages: ModelMessage, tools: tuple[ToolSpec, ...] = (), **parameters: Any) -> ModelRequest:
    limits = {"max_tokens": 40, "seed": 7, **parameters}
    return ModelRequest("tiny", messages or HELLO, total_seconds=60, tools=tools, parameters=limits)


async def read(model: OpenAIModel, request: ModelRequest) -> tuple[list[str], ModelCompletion]:
    async with model.call(request) as call:
        pieces = [text async for text in call]
        return pieces, call.completion


async def test_text_is_streamed_and_ends_with_a_reason(model: OpenAIModel) -> None:
    pieces, completion = await read(model, a_request())
    assert len(pieces) > 1
    assert "".join(pieces) == completion.text
    assert completion.finish_reason in (FinishReason.LENGTH, FinishReason.STOP)
    assert completion.tool_calls == ()


async def test_usage_is_none_because_the_server_does_not_stream_it(model: OpenAIModel) -> None:
    assert (await read(model, a_request()))[1].usage is None


async def test_forced_tool_call_is_one_call_though_each_piece_repeats_its_id(model: OpenAIModel) -> None:
    _, completion = await read(model, a_request(tools=(ADD,), tool_choice=FORCED, max_tokens=400))
    [call] = completion.tool_calls
    assert call.name == "add"
    assert call.id
    if completion.finish_reason is not FinishReason.LENGTH:
        assert json.loads(call.arguments).keys() == {"a", "b"}


async def test_offered_tools_may_be_left_alone(model: OpenAIModel) -> None:
    _, completion = await read(model, a_request(tools=(ADD,)))
    assert completion.text or completion.tool_calls


async def test_context_with_calls_and_results_is_taken(model: OpenAIModel) -> None:
    context = (
        *HELLO,
        ModelMessage(
            Role.ASSISTANT, tool_calls=(ToolCall("c1", "add", '{"a":2,"b":3}'), ToolCall("c2", "add", "{bad"))
        ),
        ModelMessage(Role.TOOL, "5", tool_call_id="c1"),
        ModelMessage(Role.TOOL, "error: arguments are not JSON", tool_call_id="c2"),
    )
    _, completion = await read(model, a_request(*context, tools=(ADD,)))
    assert completion.finish_reason in FinishReason


async def test_context_that_is_too_long_ends_the_stream_without_a_reason(model: OpenAIModel) -> None:
    """The server has sent status 200 before it looks at the length."""
    with pytest.raises(ModelCallError) as raised:
        await read(model, a_request(ModelMessage(Role.USER, "x" * 9000)))
    assert (raised.value.fault, raised.value.is_retryable) == (ModelFault.NO_FINISH, True)


async def test_response_format_that_the_server_cannot_do_is_a_status(model: OpenAIModel) -> None:
    shape = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    with pytest.raises(ModelCallError) as raised:
        await read(model, a_request(response_format=shape))
    assert raised.value.fault is ModelFault.STATUS


async def test_cancel_ends_the_call_at_once(model: OpenAIModel) -> None:
    begun = asyncio.Event()

    async def run() -> None:
        async with model.call(a_request(max_tokens=2000)) as call:
            async for _ in call:
                begun.set()

    running = asyncio.create_task(run())
    await asyncio.wait_for(begun.wait(), 30)
    cancelled = time.monotonic()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert time.monotonic() - cancelled < 0.1
