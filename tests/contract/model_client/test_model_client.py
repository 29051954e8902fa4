"""The model client against the scripted model, over real sockets."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace

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
from weft_agent_runner.model import ModelLimits, OpenAIModel
from weft_testkit.scripted_model import CallRecord, Ending, ScriptedModelServer

SEARCH = ToolSpec(
    name="search_documents",
    description="Find documents",
    parameters={"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
)
LIMITS = ModelLimits(first_byte_seconds=5, idle_seconds=5, max_output_bytes=100_000, max_line_bytes=200_000)
CONNECTIONS = 20


@pytest.fixture
async def server() -> AsyncIterator[ScriptedModelServer]:
    async with ScriptedModelServer() as running:
        yield running


@pytest.fixture
async def model(server: ScriptedModelServer) -> AsyncIterator[OpenAIModel]:
    async with a_model(server) as made:
        yield made


def a_model(server: ScriptedModelServer, limits: ModelLimits = LIMITS) -> OpenAIModel:
    return OpenAIModel(base_url=server.base_url, api_key="any", max_connections=CONNECTIONS, limits=limits)


def a_request(model: str = "scripted", text: str = "hello", **more: object) -> ModelRequest:
    request = ModelRequest(model=model, messages=(ModelMessage(Role.USER, text),), total_seconds=30)
    return replace(request, **more)  # type: ignore[arg-type]  # tests pass fields by name


async def read(model: OpenAIModel, request: ModelRequest) -> tuple[list[str], ModelCompletion]:
    async with model.call(request) as call:
        pieces = [text async for text in call]
        return pieces, call.completion


async def failure(model: OpenAIModel, request: ModelRequest) -> ModelCallError:
    with pytest.raises(ModelCallError) as raised:
        await read(model, request)
    return raised.value


def all_ended(calls: list[CallRecord]) -> bool:
    return bool(calls) and all(call.ending for call in calls)


async def test_call_streams_text_and_ends_with_the_whole_of_it(model: OpenAIModel) -> None:
    pieces, completion = await read(model, a_request("scripted:tps=200,count=20", "héllo 🦉"))
    assert "".join(pieces) == completion.text
    assert completion.text.startswith('You said: "héllo 🦉"')
    assert len(pieces) > 3, "text comes while the model is still writing"
    assert completion.finish_reason is FinishReason.STOP
    assert completion.usage is not None
    assert completion.usage.output_tokens == 20
    assert completion.tool_calls == ()


async def test_call_sends_context_tools_and_parameters(model: OpenAIModel, server: ScriptedModelServer) -> None:
    context = (
        ModelMessage(Role.SYSTEM, "be brief"),
        ModelMessage(Role.USER, "find owls"),
        ModelMessage(Role.ASSISTANT, tool_calls=(ToolCall("c1", "search_documents", "{broken"),)),
        ModelMessage(Role.TOOL, "owl.md", tool_call_id="c1"),
    )
    request = a_request(messages=context, tools=(SEARCH,), parameters={"temperature": 0.5, "model": "other"})
    _, completion = await read(model, request)
    assert "search_documents returned: owl.md" in completion.text
    [seen] = server.log.find(model="scripted")
    assert [message["role"] for message in seen.messages] == ["system", "user", "assistant", "tool"]
    assert seen.messages[0]["content"] == "be brief"
    assert seen.messages[2]["content"] == "", "llama-cpp-python refuses null"
    assert json.loads(seen.messages[2]["tool_calls"][0]["function"]["arguments"]) == {"invalid_json": "{broken"}
    assert seen.tools == ["search_documents"]


@pytest.mark.parametrize("habits", ["", ",repeat_ids=1", ",no_index=1", ",crlf=1,comments=1,dribble=7", ",pieces=0"])
async def test_tool_calls_are_whole_whatever_the_habits_of_the_server(model: OpenAIModel, habits: str) -> None:
    request = a_request(f"scripted:tools=1,calls=3{habits}", "find owls", tools=(SEARCH,))
    pieces, completion = await read(model, request)
    assert [call.name for call in completion.tool_calls] == ["search_documents"] * 3
    assert [json.loads(call.arguments) for call in completion.tool_calls] == [{"query": "owls"}] * 3
    assert len({call.id for call in completion.tool_calls}) == 3
    assert completion.finish_reason is FinishReason.TOOL_CALLS
    assert pieces == []


@pytest.mark.parametrize(
    "habits",
    ["crlf=1", "comments=1", "no_space=1", "no_done=1", "no_usage=1", "choices=3", "dribble=1", "crlf=1,dribble=3"],
)
async def test_text_is_the_same_whatever_the_habits_of_the_server(model: OpenAIModel, habits: str) -> None:
    _, completion = await read(model, a_request(f"scripted:{habits}", "grüße 🦉"))
    assert completion.text == 'You said: "grüße 🦉"'
    assert (completion.usage is None) == (habits == "no_usage=1")


async def test_surrogates_and_nul_are_mended(model: OpenAIModel) -> None:
    _, split = await read(model, a_request("scripted:surrogates=split,dribble=40", "x"))
    assert "\U0001f600" in split.text
    _, lone = await read(model, a_request("scripted:surrogates=lone,nul=1", "x"))
    assert "lone\ufffd half a\ufffdb" in lone.text
    pieces, last = await read(model, a_request("scripted:surrogates=lone,count=3", "x"))
    assert last.text.endswith("\ufffd")
    assert "".join(pieces) == last.text


@pytest.mark.parametrize(
    ("script", "fault", "is_retryable"),
    [
        ("cut=0", ModelFault.NO_FINISH, True),
        ("cut=3", ModelFault.NO_FINISH, True),
        ("nofinish=3", ModelFault.NO_FINISH, True),
        ("malformed=2", ModelFault.MALFORMED, False),
        ("error=2", ModelFault.PROVIDER, True),
        ("error=2,code=context_length_exceeded", ModelFault.PROVIDER, False),
        ("line=150000", ModelFault.TOO_LARGE, False),
        ("line=250000", ModelFault.TOO_LARGE, False),
        ("status=307", ModelFault.STATUS, False),
        ("status=400", ModelFault.STATUS, False),
        ("status=401", ModelFault.STATUS, False),
        ("status=404", ModelFault.STATUS, False),
        ("status=408", ModelFault.STATUS, True),
        ("status=409", ModelFault.STATUS, True),
        ("status=429", ModelFault.STATUS, True),
        ("status=500", ModelFault.STATUS, True),
        ("status=503", ModelFault.STATUS, True),
        ("status=529", ModelFault.STATUS, True),
    ],
)
async def test_failure_says_what_happened_and_whether_to_try_again(
    model: OpenAIModel, script: str, fault: ModelFault, is_retryable: bool
) -> None:
    error = await failure(model, a_request(f"scripted:{script}"))
    assert (error.fault, error.is_retryable) == (fault, is_retryable)
    assert error.status == (int(script[-3:]) if fault is ModelFault.STATUS else None)
    assert str(error)


async def test_refusal_carries_the_providers_code_and_how_long_to_wait(model: OpenAIModel) -> None:
    error = await failure(model, a_request("scripted:status=429,code=rate_limit,retry_after=1.5"))
    assert (error.code, error.retry_after_seconds) == ("rate_limit", 1.5)
    error = await failure(model, a_request("scripted:status=429,retry_after_date=30"))
    assert error.retry_after_seconds == pytest.approx(30, abs=2)
    error = await failure(model, a_request("scripted:status=429"))
    assert error.retry_after_seconds is None


async def test_failure_is_retryable_when_nobody_listens(server: ScriptedModelServer) -> None:
    async with OpenAIModel(base_url="http://127.0.0.1:9/v1", api_key="any", max_connections=1) as model:
        error = await failure(model, a_request())
    assert (error.fault, error.is_retryable) == (ModelFault.CONNECT, True)


@pytest.mark.parametrize(
    ("script", "limits", "total", "fault"),
    [
        ("silent=0", ModelLimits(first_byte_seconds=0.1), 9, ModelFault.FIRST_BYTE),
        ("silent=headers", ModelLimits(first_byte_seconds=0.1), 9, ModelFault.FIRST_BYTE),
        ("silent=3", ModelLimits(idle_seconds=0.1), 9, ModelFault.IDLE),
        ("silent=0", ModelLimits(), 0.1, ModelFault.TOTAL),
        ("tps=50,count=1000", ModelLimits(), 0.1, ModelFault.TOTAL),
    ],
)
async def test_watchdog_gives_up_and_closes_the_socket_when_the_model_is_silent(
    server: ScriptedModelServer, script: str, limits: ModelLimits, total: float, fault: ModelFault
) -> None:
    async with a_model(server, limits) as model:
        error = await failure(model, a_request(f"scripted:{script}", total_seconds=total))
    assert (error.fault, error.is_retryable) == (fault, fault is not ModelFault.TOTAL)
    [call] = await server.log.wait_until(all_ended)
    assert call.ending is Ending.CLIENT_CLOSED


async def test_answer_counts_as_whole_when_only_its_end_is_missing(server: ScriptedModelServer) -> None:
    """A finish_reason came, then an error or silence: nothing of the answer is lost."""
    async with a_model(server, ModelLimits(after_finish_seconds=0.1)) as model:
        _, completion = await read(model, a_request("scripted:no_done=1,no_usage=1"))
    assert completion.finish_reason is FinishReason.STOP


@pytest.mark.row("C4")
@pytest.mark.parametrize("script", ["silent=0", "silent=headers", "silent=3", "ttft=60", "tps=100,count=9000"])
async def test_cancelling_closes_the_models_socket_at_once(
    model: OpenAIModel, server: ScriptedModelServer, script: str
) -> None:
    begun = asyncio.Event()

    async def run() -> None:
        async with model.call(a_request(f"scripted:{script}")) as call:
            async for _ in call:
                begun.set()

    running = asyncio.create_task(run())
    if script in ("silent=3", "tps=100,count=9000"):
        await asyncio.wait_for(begun.wait(), 5)
    else:
        await server.log.wait_until(bool)
    cancelled = time.time()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    [call] = await server.log.wait_until(all_ended)
    assert call.ending is Ending.CLIENT_CLOSED
    assert call.client_closed_time is not None
    assert call.client_closed_time - cancelled < 0.05


async def test_leaving_the_block_early_closes_the_models_socket(
    model: OpenAIModel, server: ScriptedModelServer
) -> None:
    async with model.call(a_request("scripted:tps=100,count=9000")) as call:
        async for text in call:
            assert call.partial_text == text
            break
        with pytest.raises(RuntimeError):
            _ = call.completion
    [record] = await server.log.wait_until(all_ended)
    assert record.ending is Ending.CLIENT_CLOSED


async def test_connection_is_used_again_after_a_whole_answer(model: OpenAIModel, server: ScriptedModelServer) -> None:
    for _ in range(5):
        await read(model, a_request())
    assert server.connections_opened == 1


async def test_pool_is_whole_after_a_storm_of_cancellations(model: OpenAIModel, server: ScriptedModelServer) -> None:
    async def run() -> None:
        await read(model, a_request("scripted:tps=100,count=9000"))

    for _ in range(3):
        running = [asyncio.create_task(run()) for _ in range(3 * CONNECTIONS)]
        await server.log.wait_until(lambda calls: sum(1 for call in calls if call.tokens_sent) >= CONNECTIONS)
        for _ in range(3):
            for task in running:
                task.cancel()
            await asyncio.sleep(0)
        ended = await asyncio.gather(*running, return_exceptions=True)
        assert all(isinstance(error, asyncio.CancelledError) for error in ended)
        await server.log.wait_until(all_ended)
        server.log.reset()
    answers = await asyncio.gather(*(read(model, a_request()) for _ in range(3 * CONNECTIONS)))
    assert len(answers) == 3 * CONNECTIONS


async def test_calls_beyond_the_pool_wait_for_their_turn(server: ScriptedModelServer) -> None:
    async with OpenAIModel(base_url=server.base_url, api_key="any", max_connections=2) as model:
        await asyncio.gather(*(read(model, a_request("scripted:ttft=0.05")) for _ in range(6)))
    assert server.connections_opened <= 2
