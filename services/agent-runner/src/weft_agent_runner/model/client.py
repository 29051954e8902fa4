"""Chat completions over the openai client; `weft_agent_runner.domain.model` says how they are used.

The openai client authenticates, pools and sends. Its retries are off, and its parsed chunks, which cost ten times as
much as the bytes, are not used. Leaving a call's block closes its socket, unless the whole answer has been read.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import aiohttp
import httpx2
import openai

from weft_agent_runner.domain.model import ModelCall, ModelCallError, ModelCompletion, ModelFault, ModelRequest
from weft_agent_runner.model.faults import refused
from weft_agent_runner.model.reading import AnswerReader
from weft_agent_runner.model.request import request_body

KEEPALIVE_SECONDS = 30.0
BROKEN = (httpx2.HTTPError, aiohttp.ClientError)  # the transport translates most of its errors, not all
LAST_BYTES_SECONDS = 0.02
"""After the answer, for the bytes that end the response: only then can the connection be used again."""


@dataclass(frozen=True, slots=True)
class ModelLimits:
    """Bounds of every call, beside the `total_seconds` that its request sets."""

    connect_seconds: float = 5.0
    first_byte_seconds: float = 60.0
    idle_seconds: float = 30.0
    after_finish_seconds: float = 5.0
    """For usage and the end of the stream, once the finish_reason is there: the answer is whole without them."""
    max_line_bytes: int = 10 * 1024 * 1024
    max_output_bytes: int = 1024 * 1024
    """Text and tool-call arguments of one answer, in UTF-8."""


class OpenAIModel:
    """One provider. A call holds a connection, so `max_connections` is how many calls can be open at once."""

    def __init__(self, *, base_url: str, api_key: str, max_connections: int, limits: ModelLimits | None = None) -> None:
        self._limits = limits or ModelLimits()
        pool = httpx2.Limits(
            max_connections=max_connections,
            max_keepalive_connections=max_connections,
            keepalive_expiry=KEEPALIVE_SECONDS,
        )
        # aiohttp's transport, an extra of openai: half the CPU per read of the default one.
        self._http = openai.DefaultAioHttpClient(
            limits=pool,
            timeout=httpx2.Timeout(None, connect=self._limits.connect_seconds),
            follow_redirects=False,  # the address was chosen by whoever set base_url, not by who answers there
        )
        self._client = openai.AsyncOpenAI(
            base_url=base_url, api_key=api_key, max_retries=0, http_client=self._http, timeout=self._http.timeout
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    def call(self, request: ModelRequest) -> AbstractAsyncContextManager[ModelCall]:
        return self._call(request)

    @contextlib.asynccontextmanager
    async def _call(self, request: ModelRequest) -> AsyncGenerator[ModelCall]:
        deadlines = _Deadlines(self._limits, request.total_seconds)
        async with contextlib.AsyncExitStack() as stack:
            response = await self._open(request, deadlines, stack)
            is_stream = not response.headers.get("content-type", "").startswith("application/json")
            reader = AnswerReader(self._limits.max_line_bytes, self._limits.max_output_bytes, is_stream=is_stream)
            reads = response.aiter_bytes()
            stack.push_async_callback(_let_go, reads, reader)
            yield _OpenCall(reads, reader, deadlines)

    async def _open(
        self, request: ModelRequest, deadlines: "_Deadlines", stack: contextlib.AsyncExitStack
    ) -> httpx2.Response:
        # The messages go by extra_body: create() would walk through each of them to convert it to what it is.
        own = {"Authorization": f"Bearer {request.api_key}"} if request.api_key else None
        opening = self._client.chat.completions.with_streaming_response.create(
            model=request.model, messages=[], stream=True, extra_body=request_body(request), extra_headers=own
        )
        until, fault = deadlines.first_byte()
        try:
            async with asyncio.timeout_at(until):
                response = await stack.enter_async_context(opening)
        except TimeoutError as error:
            raise _silent(fault) from error
        except openai.APIStatusError as error:
            raise refused(error, datetime.now(UTC)) from error
        except openai.APIConnectionError as error:
            reason = f"the model cannot be reached: {error.__cause__ or error}"
            raise ModelCallError(ModelFault.CONNECT, reason, is_retryable=True) from error
        return response.http_response


class _OpenCall:
    def __init__(self, reads: AsyncIterator[bytes], reader: AnswerReader, deadlines: "_Deadlines") -> None:
        self._reads = reads
        self._reader = reader
        self._deadlines = deadlines

    @property
    def completion(self) -> ModelCompletion:
        return self._reader.completion

    @property
    def partial_text(self) -> str:
        return self._reader.text

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        while not self._reader.is_done:
            read = await self._read()
            text = self._reader.end() if read is None else self._reader.feed(read)
            if text:
                return text
        raise StopAsyncIteration

    async def _read(self) -> bytes | None:
        """None when nothing more will come, or nothing more is needed."""
        is_enough = self._reader.is_finished
        until, fault = self._deadlines.next_byte(is_enough)
        try:
            async with asyncio.timeout_at(until):
                return await anext(self._reads, None)
        except TimeoutError as error:
            if is_enough:
                return None
            raise _silent(fault) from error
        except BROKEN as error:
            if is_enough:
                return None
            reason = f"the model's stream broke: {error}"
            raise ModelCallError(ModelFault.NO_FINISH, reason, is_retryable=True) from error


class _Deadlines:
    """When to give up, and what to call it."""

    def __init__(self, limits: ModelLimits, total_seconds: float) -> None:
        self._limits = limits
        self._now = asyncio.get_running_loop().time
        self._total_at = self._now() + total_seconds
        self._first_byte_at = self._now() + limits.first_byte_seconds
        self._is_first = True

    def first_byte(self) -> tuple[float, ModelFault]:
        return self._sooner(self._first_byte_at, ModelFault.FIRST_BYTE)

    def next_byte(self, is_finished: bool) -> tuple[float, ModelFault]:
        if self._is_first:
            self._is_first = False
            return self.first_byte()
        wait = self._limits.after_finish_seconds if is_finished else self._limits.idle_seconds
        return self._sooner(self._now() + wait, ModelFault.IDLE)

    def _sooner(self, moment: float, fault: ModelFault) -> tuple[float, ModelFault]:
        return (moment, fault) if moment < self._total_at else (self._total_at, ModelFault.TOTAL)


def _silent(fault: ModelFault) -> ModelCallError:
    said = {
        ModelFault.FIRST_BYTE: "the model did not begin to answer in time",
        ModelFault.IDLE: "the model fell silent in mid-answer",
        ModelFault.TOTAL: "the model did not answer within the time that the call had",
    }
    return ModelCallError(fault, said[fault], is_retryable=fault is not ModelFault.TOTAL)


async def _let_go(reads: AsyncGenerator[bytes], reader: AnswerReader) -> None:
    """Runs before the response is closed, which closes the socket unless everything was read."""
    async with contextlib.aclosing(reads):
        if reader.is_done:
            with contextlib.suppress(TimeoutError, *BROKEN):
                async with asyncio.timeout(LAST_BYTES_SECONDS):
                    await anext(reads, None)
