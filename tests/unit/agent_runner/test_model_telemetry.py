"""What telemetry tells of a model call, however it ends; what was said only where that is asked for."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import pytest
from opentelemetry.trace import StatusCode
from weft_agent_runner.domain.model import (
    FinishReason,
    ModelCall,
    ModelCallError,
    ModelCompletion,
    ModelFault,
    ModelMessage,
    ModelRequest,
    ModelUsage,
    Role,
)
from weft_agent_runner.telemetry.model import observed_model
from weft_telemetry import names
from weft_testkit.recorded_telemetry import Recorded, recorded_telemetry

REQUEST = ModelRequest("a-model", (ModelMessage(Role.USER, "the question"),), 10.0)
COMPLETION = ModelCompletion("the answer", (), FinishReason.STOP, ModelUsage(7, 5, 2, 1), "a-model-2", "chat-1")


@dataclass
class FakeModel:
    """Says two pieces, or fails after the first."""

    failure: BaseException | None = None

    def call(self, request: ModelRequest) -> AbstractAsyncContextManager[ModelCall]:
        return self._call()

    @asynccontextmanager
    async def _call(self) -> AsyncGenerator[ModelCall]:
        yield FakeCall(self._pieces())

    async def _pieces(self) -> AsyncIterator[str]:
        yield "the "
        if self.failure is not None:
            raise self.failure
        yield "answer"


@dataclass
class FakeCall:
    pieces: AsyncIterator[str]
    completion = COMPLETION
    partial_text = ""

    def __aiter__(self) -> AsyncIterator[str]:
        return self.pieces


async def called(model: FakeModel) -> str:
    async with observed_model(model).call(REQUEST) as call:
        return "".join([piece async for piece in call])


def attributes_of(recorded: Recorded) -> dict[str, object]:
    found = recorded.named("chat a-model")[0].attributes
    assert found is not None
    return dict(found)


async def test_a_call_is_a_span_and_metrics_without_what_was_said() -> None:
    with recorded_telemetry() as recorded:
        assert await called(FakeModel()) == "the answer"
        found = attributes_of(recorded)
        assert float(str(found.pop(names.TIME_TO_FIRST_CHUNK))) >= 0
        assert found == {
            names.OPERATION: "chat",
            names.PROVIDER: "openai",
            names.REQUEST_MODEL: "a-model",
            names.REQUEST_STREAM: True,
            names.RESPONSE_MODEL: "a-model-2",
            names.RESPONSE_ID: "chat-1",
            names.FINISH_REASONS: ("stop",),
            names.INPUT_TOKENS: 7,
            names.OUTPUT_TOKENS: 5,
            names.CACHED_TOKENS: 2,
            names.REASONING_TOKENS: 1,
        }
        counters = names.MODEL_INPUT_TOKENS, names.MODEL_OUTPUT_TOKENS, names.MODEL_CACHED_TOKENS
        assert [recorded.points(each)[0].value for each in counters] == [7, 5, 2]
        assert recorded.points(names.MODEL_DURATION)[0].count == 1


async def test_what_was_said_is_recorded_where_that_is_asked_for() -> None:
    with recorded_telemetry(is_content_wanted=True) as recorded:
        await called(FakeModel())
        found = attributes_of(recorded)
    assert json.loads(str(found[names.INPUT_MESSAGES])) == [
        {"role": "user", "parts": [{"type": "text", "content": "the question"}]}
    ]
    assert json.loads(str(found[names.OUTPUT_MESSAGES]))[0]["parts"] == [{"type": "text", "content": "the answer"}]


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (ModelCallError(ModelFault.STATUS, "too many", is_retryable=True, status=429), "status_429"),
        (ModelCallError(ModelFault.IDLE, "silent", is_retryable=True), "idle"),
        (asyncio.CancelledError(), "CancelledError"),
    ],
)
async def test_a_call_that_fails_tells_how(failure: BaseException, told: str) -> None:
    with recorded_telemetry() as recorded:
        with pytest.raises(type(failure)):
            await called(FakeModel(failure))
        assert attributes_of(recorded)[names.ERROR_TYPE] == told
        assert recorded.spans[0].status.status_code is StatusCode.ERROR
        assert recorded.points(names.MODEL_DURATION)[0].attributes[names.ERROR_TYPE] == told
