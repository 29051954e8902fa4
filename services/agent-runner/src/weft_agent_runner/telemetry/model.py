"""Model calls, watched from outside: a span and metrics for each try."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

from weft_telemetry import names, state
from weft_telemetry.metrics import recorder

from weft_agent_runner.domain.model import Model, ModelCall, ModelCallError, ModelCompletion, ModelRequest
from weft_agent_runner.telemetry.content import input_messages, output_messages

if TYPE_CHECKING:
    from opentelemetry.trace import Span

PROVIDER = "openai"  # of the protocol: who answers at its address is not known


def observed_model(model: Model) -> Model:
    """Return `model` itself where nothing is on."""
    return ObservedModel(model) if state.installed().is_on else model


class ObservedModel:
    def __init__(self, model: Model) -> None:
        self._model = model
        self._telemetry = state.installed()
        self._record_duration = recorder(names.MODEL_DURATION)
        self._record_first = recorder(names.MODEL_FIRST_CHUNK)
        self._record_input = recorder(names.MODEL_INPUT_TOKENS)
        self._record_output = recorder(names.MODEL_OUTPUT_TOKENS)
        self._record_cached = recorder(names.MODEL_CACHED_TOKENS)

    def call(self, request: ModelRequest) -> AbstractAsyncContextManager[ModelCall]:
        return self._call(request)

    @asynccontextmanager
    async def _call(self, request: ModelRequest) -> AsyncGenerator[ModelCall]:
        span, began, watched, fault = self._span(request), time.perf_counter(), None, ""
        try:
            async with self._model.call(request) as call:
                watched = _WatchedCall(call)
                yield watched
        except ModelCallError as error:
            fault = f"{error.fault}_{error.status}" if error.status else str(error.fault)
            raise
        except BaseException as error:
            fault = type(error).__name__
            raise
        finally:
            self._count(request.model, began, watched, fault)
            if span is not None:
                self._end(span, began, watched, fault)

    def _span(self, request: ModelRequest) -> Span | None:
        if self._telemetry.tracer is None:
            return None
        from opentelemetry.trace import SpanKind

        span = self._telemetry.tracer.start_span(
            f"{names.CHAT} {request.model}",
            kind=SpanKind.CLIENT,
            attributes={
                names.OPERATION: names.CHAT,
                names.PROVIDER: PROVIDER,
                names.REQUEST_MODEL: request.model,
                names.REQUEST_STREAM: True,
            },
        )
        if self._telemetry.is_content_wanted:
            span.set_attribute(names.INPUT_MESSAGES, input_messages(request.messages))
        return span

    def _count(self, model: str, began: float, watched: _WatchedCall | None, fault: str) -> None:
        labels = names.CHAT, PROVIDER, model
        self._record_duration(time.perf_counter() - began, *labels, fault or None)
        if watched is None:
            return
        if watched.first_at is not None:
            self._record_first(watched.first_at - began, *labels)
        usage = watched.known.usage if watched.known is not None else None
        if usage is not None:
            self._record_input(usage.input_tokens, *labels)
            self._record_output(usage.output_tokens, *labels)
            self._record_cached(usage.cached_input_tokens, *labels)

    def _end(self, span: Span, began: float, watched: _WatchedCall | None, fault: str) -> None:
        if watched is not None and watched.first_at is not None:
            span.set_attribute(names.TIME_TO_FIRST_CHUNK, watched.first_at - began)
        if watched is not None and watched.known is not None:
            _tell(span, watched.known)
            if self._telemetry.is_content_wanted:
                span.set_attribute(names.OUTPUT_MESSAGES, output_messages(watched.known))
        if fault:
            from opentelemetry.trace import StatusCode

            span.set_attribute(names.ERROR_TYPE, fault)
            span.set_status(StatusCode.ERROR)
        span.end()


def _tell(span: Span, completion: ModelCompletion) -> None:
    span.set_attribute(names.FINISH_REASONS, [str(completion.finish_reason)])
    if completion.response_model:
        span.set_attribute(names.RESPONSE_MODEL, completion.response_model)
    if completion.response_id:
        span.set_attribute(names.RESPONSE_ID, completion.response_id)
    if (usage := completion.usage) is not None:
        span.set_attributes(
            {
                names.INPUT_TOKENS: usage.input_tokens,
                names.OUTPUT_TOKENS: usage.output_tokens,
                names.CACHED_TOKENS: usage.cached_input_tokens,
                names.REASONING_TOKENS: usage.reasoning_tokens,
            }
        )


class _WatchedCall:
    """Notes when the first piece came, and what the answer was once it is whole."""

    def __init__(self, call: ModelCall) -> None:
        self._call, self._pieces = call, aiter(call)
        self.first_at: float | None = None
        self.known: ModelCompletion | None = None

    @property
    def completion(self) -> ModelCompletion:
        return self._call.completion

    @property
    def partial_text(self) -> str:
        return self._call.partial_text

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        try:
            piece = await anext(self._pieces)
        except StopAsyncIteration:
            self.known = self._call.completion
            raise
        if self.first_at is None:
            self.first_at = time.perf_counter()
        return piece
