"""Byte streams in the manner of several vendors, written from what is publicly known of their formats, played to the
model client over a socket in pieces of every awkward size."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from weft_agent_runner.domain.model import (
    FinishReason,
    ModelCallError,
    ModelCompletion,
    ModelFault,
    ModelMessage,
    ModelRequest,
    ModelUsage,
    Role,
    ToolCall,
)
from weft_agent_runner.model import ModelLimits, OpenAIModel

STREAMS = Path(__file__).parent.parent / "model_streams"
STOP, TOOLS = FinishReason.STOP, FinishReason.TOOL_CALLS
WHOLE: dict[str, tuple[str, list[ToolCall], FinishReason, ModelUsage | None]] = {
    "openai_tools": (
        "",
        [ToolCall("call_aa", "get_weather", '{"city":"Köln"}'), ToolCall("call_bb", "get_time", "{}")],
        TOOLS,
        ModelUsage(81, 34, cached_input_tokens=64, reasoning_tokens=12),
    ),
    "azure": ("Guten Tag", [], STOP, None),
    "openrouter": ("One two 🦉", [], STOP, ModelUsage(9, 3)),
    "deepseek": ("Forty-two", [], STOP, ModelUsage(11, 22, cached_input_tokens=4, reasoning_tokens=19)),
    "groq": ("Fast.", [], STOP, ModelUsage(5, 2)),
    "mistral": (
        "Looking it up.",
        [ToolCall("a1B2c3D4e", "search", '{"query": "owls"}'), ToolCall("f5G6h7I8j", "search", '{"query": "bats"}')],
        TOOLS,
        ModelUsage(70, 29),
    ),
    "gemini": (
        "",
        [
            ToolCall("function-call-1", "get_weather", '{"city":"Rome"}'),
            ToolCall("function-call-2", "get_weather", '{"city":"Oslo"}'),
        ],
        STOP,
        ModelUsage(52, 31),
    ),
    "ollama": ("", [ToolCall("call_x1", "add", '{"a":1,"b":2}')], TOOLS, ModelUsage(150, 24)),
    "llama_cpp_python": ("", [ToolCall("call__0_add_cmpl-1", "add", '{"a": 1}')], TOOLS, None),
    "vllm_continuous_usage": ("AB", [], FinishReason.LENGTH, ModelUsage(7, 3)),
    "dashscope": ("", [ToolCall("call_q", "search", '{"query": "owls"}')], TOOLS, None),
}
BROKEN = {"openrouter_error": 502, "vllm_error": 500}


@asynccontextmanager
async def a_vendor(body: bytes, piece: int, content_type: str = "text/event-stream") -> AsyncIterator[OpenAIModel]:
    """Answers any request with `body`, `piece` bytes a write; the end of the connection ends the response."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\nconnection: close\r\n\r\n".encode())
        for start in range(0, len(body), piece):
            writer.write(body[start : start + piece])
            await asyncio.sleep(0)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        limits = ModelLimits(first_byte_seconds=5, idle_seconds=5)
        async with OpenAIModel(
            base_url=f"http://127.0.0.1:{port}/v1", api_key="any", max_connections=1, limits=limits
        ) as model:
            yield model


async def read(model: OpenAIModel) -> ModelCompletion:
    request = ModelRequest(model="any", messages=(ModelMessage(Role.USER, "hi"),), total_seconds=20)
    async with model.call(request) as call:
        pieces = [text async for text in call]
        assert "".join(pieces) == call.completion.text
        return call.completion


def test_every_stream_is_expected_to_be_something() -> None:
    assert {path.stem for path in STREAMS.glob("*.sse")} == WHOLE.keys() | BROKEN.keys()


@pytest.mark.parametrize("piece", [1, 7, 64, 1_000_000])
@pytest.mark.parametrize("vendor", WHOLE)
async def test_stream_is_understood(vendor: str, piece: int) -> None:
    text, tool_calls, finish_reason, usage = WHOLE[vendor]
    async with a_vendor((STREAMS / f"{vendor}.sse").read_bytes(), piece) as model:
        completion = await read(model)
    assert completion.text == text
    assert list(completion.tool_calls) == tool_calls
    assert completion.finish_reason is finish_reason
    assert completion.usage == usage


@pytest.mark.parametrize("vendor", WHOLE)
async def test_stream_with_crlf_line_ends_is_the_same(vendor: str) -> None:
    body = (STREAMS / f"{vendor}.sse").read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    async with a_vendor(body, 5) as model:
        assert (await read(model)).text == WHOLE[vendor][0]


@pytest.mark.parametrize("vendor", WHOLE)
async def test_stream_that_ends_before_its_finish_reason_is_a_failure(vendor: str) -> None:
    body = (STREAMS / f"{vendor}.sse").read_bytes()
    until = body.index(b'"finish_reason":"' + WHOLE_REASON[vendor])
    async with a_vendor(body[: body.rindex(b"data:", 0, until)], 1_000_000) as model:
        with pytest.raises(ModelCallError) as raised:
            await read(model)
    assert (raised.value.fault, raised.value.is_retryable) == (ModelFault.NO_FINISH, True)


WHOLE_REASON = {vendor: expected[2].value.encode() for vendor, expected in WHOLE.items()}


@pytest.mark.parametrize("vendor", BROKEN)
async def test_error_in_mid_stream_is_a_failure_with_the_providers_status(vendor: str) -> None:
    async with a_vendor((STREAMS / f"{vendor}.sse").read_bytes(), 9) as model:
        with pytest.raises(ModelCallError) as raised:
            await read(model)
    assert raised.value.fault is ModelFault.PROVIDER
    assert (raised.value.status, raised.value.is_retryable) == (BROKEN[vendor], True)


async def test_answer_that_was_not_streamed_is_read_all_the_same() -> None:
    body = b"""{
      "id": "x", "object": "chat.completion", "model": "m",
      "choices": [{"index": 0, "message": {"role": "assistant", "content": "whole\\n"}, "finish_reason": "stop"}],
      "usage": {"prompt_tokens": 1, "completion_tokens": 2}
    }"""
    async with a_vendor(body, 11, "application/json; charset=utf-8") as model:
        completion = await read(model)
    assert (completion.text, completion.usage) == ("whole\n", ModelUsage(1, 2))


async def test_error_that_comes_as_a_success_is_a_failure() -> None:
    async with a_vendor(b'{"error":{"message":"no credit","code":402}}', 99, "application/json") as model:
        with pytest.raises(ModelCallError, match="no credit") as raised:
            await read(model)
    assert (raised.value.status, raised.value.is_retryable) == (402, False)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"", ModelFault.NO_FINISH),
        (b": only\n\n: comments\n\n", ModelFault.NO_FINISH),
        (b"data: [DONE]\n\n", ModelFault.NO_FINISH),
        (b"<html>busy</html>", ModelFault.NO_FINISH),
        (b"data: not json\n\n", ModelFault.MALFORMED),
        (b"data: [1]\n\n", ModelFault.MALFORMED),
        (b'data: {"choices":3}\n\n', ModelFault.MALFORMED),
        (b'data: {"choices":[{"delta":{"content":7}}]}\n\n', ModelFault.MALFORMED),
        (b"data: " + b"[" * 100_000 + b"\n\n", ModelFault.MALFORMED),
        (
            b'data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c"}]},"finish_reason":"stop"}]}\n\n',
            ModelFault.MALFORMED,
        ),
        (b"x" * (11 * 1024 * 1024), ModelFault.TOO_LARGE),
    ],
    ids=lambda value: value[:30] if isinstance(value, bytes) else value,
)
async def test_stream_that_is_no_answer_is_a_typed_failure(body: bytes, fault: ModelFault) -> None:
    async with a_vendor(body, 65_536) as model:
        with pytest.raises(ModelCallError) as raised:
            await read(model)
    assert raised.value.fault is fault


async def test_bytes_that_are_not_utf8_become_replacement_characters() -> None:
    body = b'data: {"choices":[{"delta":{"content":"a\xff"},"finish_reason":"stop"}]}\n\n'
    async with a_vendor(body, 99) as model:
        assert (await read(model)).text == "a\ufffd"
