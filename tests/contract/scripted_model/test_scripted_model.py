"""The scripted model as the real openai client sees it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI
from weft_testkit.scripted_model import CallRecord, Ending, ScriptedModelServer

TOOL: Any = {
    "type": "function",
    "function": {
        "name": "search_documents",
        "parameters": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
    },
}


@pytest.fixture
async def server() -> AsyncIterator[ScriptedModelServer]:
    async with ScriptedModelServer() as running:
        yield running


@pytest.fixture
async def client(server: ScriptedModelServer) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=server.base_url, api_key="any", max_retries=0) as made:
        yield made


def user(text: str) -> Any:
    return [{"role": "user", "content": text}]


def all_ended(calls: list[CallRecord]) -> bool:
    return bool(calls) and all(call.ending for call in calls)


async def stream(client: AsyncOpenAI, model: str, text: str = "hello", **more: Any) -> list[Any]:
    chunks = await client.chat.completions.create(model=model, messages=user(text), stream=True, **more)
    return [chunk async for chunk in chunks]


def text_of(chunks: list[Any]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


async def raw(client: AsyncOpenAI, model: str, text: str = "hello", **more: Any) -> bytes:
    create = client.chat.completions.with_streaming_response.create
    async with create(model=model, messages=user(text), stream=True, **more) as response:
        return bytes(await response.read())


async def test_stream_carries_text_finish_reason_and_usage(client: AsyncOpenAI) -> None:
    chunks = await stream(client, "scripted", "héllo 🦉", stream_options={"include_usage": True})
    assert text_of(chunks) == 'You said: "héllo 🦉"'
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens == chunks[-1].usage.prompt_tokens + chunks[-1].usage.completion_tokens


async def test_stream_has_no_usage_when_it_was_not_asked_for(client: AsyncOpenAI) -> None:
    assert all(chunk.usage is None for chunk in await stream(client, "scripted"))


async def test_answer_is_the_same_when_it_is_not_streamed(client: AsyncOpenAI) -> None:
    whole = await client.chat.completions.create(model="scripted:count=9", messages=user("hello"))
    assert whole.choices[0].message.content == text_of(await stream(client, "scripted:count=9"))
    assert whole.usage is not None
    assert whole.usage.completion_tokens == 9


async def test_tool_calls_are_streamed_in_pieces(client: AsyncOpenAI) -> None:
    async with client.chat.completions.stream(
        model="scripted:pieces=3,calls=2,tools=1", messages=user("find owls"), tools=[TOOL]
    ) as streaming:
        final = await streaming.get_final_completion()
    calls = final.choices[0].message.tool_calls or []
    assert [json.loads(call.function.arguments) for call in calls] == [{"query": "owls"}] * 2
    assert len({call.id for call in calls}) == 2
    assert final.choices[0].finish_reason == "tool_calls"


async def test_models_are_listed(client: AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == ["scripted"]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, openai.AuthenticationError),
        (408, openai.APIStatusError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
    ],
)
async def test_status_is_answered_in_openais_error_shape(
    client: AsyncOpenAI, status: int, error: type[openai.APIStatusError]
) -> None:
    with pytest.raises(error) as raised:
        await stream(client, f"scripted:status={status},retry_after=7,code=a_code")
    assert raised.value.status_code == status
    assert raised.value.code == "a_code"
    assert raised.value.response.headers["retry-after"] == "7"


async def test_retry_after_may_be_a_date(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.RateLimitError) as raised:
        await stream(client, "scripted:status=429,retry_after_date=30")
    assert raised.value.response.headers["retry-after"].endswith("GMT")


async def test_first_calls_of_each_conversation_fail_when_fail_first_says_so(client: AsyncOpenAI) -> None:
    for text in ("one", "other"):
        with pytest.raises(openai.InternalServerError):
            await stream(client, "scripted:status=500,fail_first=1", text)
        assert text_of(await stream(client, "scripted:status=500,fail_first=1", text))


async def test_unknown_model_and_bad_script_are_not_found(client: AsyncOpenAI) -> None:
    for model in ("gpt-5", "scripted:speed=9"):
        with pytest.raises(openai.NotFoundError) as raised:
            await stream(client, model)
        assert raised.value.code == "model_not_found"


async def test_bad_requests_are_refused(client: AsyncOpenAI) -> None:
    bodies: Any = ([], [{"role": "tool", "tool_call_id": "x", "content": "y"}], [3])
    for messages in bodies:
        with pytest.raises(openai.BadRequestError):
            await client.chat.completions.create(model="scripted", messages=messages)


async def test_connection_is_cut_after_k_tokens(client: AsyncOpenAI, server: ScriptedModelServer) -> None:
    chunks: list[Any] = []

    async def read() -> None:
        async for chunk in await client.chat.completions.create(
            model="scripted:count=9,cut=4", messages=user("x"), stream=True
        ):
            chunks.append(chunk)

    with pytest.raises((httpx2.RemoteProtocolError, openai.APIConnectionError)):
        await read()
    assert text_of(chunks) == 'You said: "x" t4'
    [call] = await server.log.wait_until(all_ended)
    assert (call.ending, call.tokens_sent, call.client_closed_time) == (Ending.CUT, 4, None)


async def test_stream_ends_without_finish_reason_when_asked(client: AsyncOpenAI) -> None:
    body = await raw(client, "scripted:count=9,nofinish=2")
    assert body.count(b"data: ") == 1 + 2
    assert b"stop" not in body
    assert b"[DONE]" not in body


async def test_stream_breaks_its_json_or_carries_an_error_when_asked(client: AsyncOpenAI) -> None:
    with pytest.raises(json.JSONDecodeError):
        await stream(client, "scripted:malformed=1")
    with pytest.raises(openai.APIError, match="server had an error"):
        await stream(client, "scripted:error=1")


async def test_habits_show_on_the_wire(client: AsyncOpenAI) -> None:
    assert b"\r\n\r\ndata:" in await raw(client, "scripted:crlf=1")
    assert b"\n" not in (await raw(client, "scripted:crlf=1")).replace(b"\r\n", b"")
    assert (await raw(client, "scripted:comments=1")).startswith(b": ")
    assert b"data: " not in await raw(client, "scripted:no_space=1")
    assert b"[DONE]" not in await raw(client, "scripted:no_done=1")
    usage: Any = {"stream_options": {"include_usage": True}}
    assert b'"usage"' not in await raw(client, "scripted:no_usage=1", **usage)
    assert b'"index":2' in await raw(client, "scripted:choices=3")
    assert len(await raw(client, "scripted:line=100000")) > 100_000


async def test_answer_is_the_same_when_it_dribbles(client: AsyncOpenAI) -> None:
    assert text_of(await stream(client, "scripted:dribble=1", "ü 🦉")) == 'You said: "ü 🦉"'


async def test_tool_call_habits_show_on_the_wire(client: AsyncOpenAI) -> None:
    plain = await raw(client, "scripted", "find owls", tools=[TOOL])
    repeated = await raw(client, "scripted:repeat_ids=1", "find owls", tools=[TOOL])
    assert plain.count(b"search_documents") == 1
    assert repeated.count(b"search_documents") > 1
    assert b'"tool_calls":[{"index":0' in plain
    assert b'"tool_calls":[{"index"' not in await raw(client, "scripted:no_index=1", "find owls", tools=[TOOL])


async def test_odd_characters_are_in_the_text_when_asked(client: AsyncOpenAI) -> None:
    assert b'"content":"\\ud83d"' in await raw(client, "scripted:surrogates=lone")
    split = await raw(client, "scripted:surrogates=split")
    assert split.index(b'"content":"\\ud83d"') < split.index(b'"content":"\\ude00"')
    assert b"a\\u0000b" in await raw(client, "scripted:nul=1")


async def test_pace_is_kept(client: AsyncOpenAI, server: ScriptedModelServer) -> None:
    await stream(client, "scripted:ttft=0.2,tps=100,count=21")
    [call] = server.log.find()
    assert call.first_token_time is not None
    assert call.end_time is not None
    assert call.first_token_time - call.start_time >= 0.2
    assert call.end_time - call.first_token_time >= 0.19
    assert call.tokens_sent == 21


@pytest.mark.parametrize(
    "model", ["scripted:silent=0", "scripted:silent=headers", "scripted:silent=2", "scripted:ttft=99"]
)
async def test_closing_of_the_socket_is_noticed_at_once_while_the_model_is_silent(
    client: AsyncOpenAI, server: ScriptedModelServer, model: str
) -> None:
    reading = asyncio.create_task(stream(client, model))
    enough_sent = 2 if model.endswith("=2") else 0
    await server.log.wait_until(lambda calls: bool(calls) and calls[0].tokens_sent >= enough_sent)
    reading.cancel()
    cancelled = time.time()
    with pytest.raises(asyncio.CancelledError):
        await reading
    [call] = await server.log.wait_until(all_ended)
    assert call.ending is Ending.CLIENT_CLOSED
    assert call.client_closed_time is not None
    assert call.client_closed_time - cancelled < 0.1


async def test_record_is_read_over_http_by_model_and_marker(client: AsyncOpenAI, server: ScriptedModelServer) -> None:
    for text in ("marker-a", "marker-b", "marker-a again"):
        await stream(client, "scripted", text)
    root = server.base_url.removesuffix("/v1")
    async with httpx2.AsyncClient(base_url=root) as http:
        found = (await http.get("/scripted/calls", params={"marker": "marker-a", "ended": 2})).json()["calls"]
        assert [call["user_text"] for call in found] == ["marker-a", "marker-a again"]
        assert [call["ending"] for call in found] == ["completed", "completed"]
        assert found[0]["messages"] == user("marker-a")
        assert (await http.get("/scripted/calls", params={"model": "other"})).json()["calls"] == []
        late = await http.get("/scripted/calls", params={"started": 9, "timeout": 0.05})
        assert late.status_code == 504
        await http.post("/scripted/reset")
        assert (await http.get("/scripted/calls")).json()["calls"] == []


async def test_server_stops_at_once_when_a_call_is_open(client: AsyncOpenAI) -> None:
    async with ScriptedModelServer() as other:
        own = client.with_options(base_url=other.base_url)
        reading = asyncio.create_task(stream(own, "scripted:silent=0"))
        await other.log.wait_until(lambda calls: bool(calls))
        stopping = time.monotonic()
    assert time.monotonic() - stopping < 2
    assert other.log.find()[0].ending is Ending.STOPPED
    with pytest.raises(openai.APIConnectionError):
        await reading
