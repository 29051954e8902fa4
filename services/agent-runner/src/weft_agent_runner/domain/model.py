"""What the runner asks of a model and what it gets back.

    async with model.call(request) as call:
        async for text in call:            # pieces of the answer's text, as they come
            ...
        done = call.completion             # whole text, tool calls, finish reason, usage
    # the socket to the provider is closed here, however the block was left

Whatever goes wrong with the provider is a `ModelCallError`, raised by entering the block or by the iteration.
Cancelling the task that is inside the block closes the socket at once; `call.partial_text` keeps what had come.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class Role(StrEnum):
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call as the model wrote it: `arguments` is JSON text that nobody has checked, `id` is the model's own name
    for the call (made up when it gave none) and only good for pairing a result with its call."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool offered to the model; `parameters` is a JSON Schema of type object."""

    name: str
    description: str
    parameters: Mapping[str, object]
    keeps_state: bool = False


@dataclass(frozen=True, slots=True)
class ModelMessage:
    """One message of the context. `tool_calls` only with ASSISTANT; `tool_call_id` always and only with TOOL.

    `result_of` is the tool whose result a TOOL message is; empty where the call failed.
    """

    role: Role
    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    result_of: str = ""


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One call. `parameters` (temperature, max_completion_tokens …) go to the provider as they are, but never over
    the fields set here. `total_seconds` bounds the whole call, from connecting to the last byte."""

    model: str
    messages: tuple[ModelMessage, ...]
    total_seconds: float
    tools: tuple[ToolSpec, ...] = ()
    parameters: Mapping[str, object] = field(default_factory=dict)
    # What pays for it, in the place of the installation's key.
    api_key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ModelUsage:
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0


class FinishReason(StrEnum):
    STOP = "stop"
    TOOL_CALLS = "tool_calls"
    LENGTH = "length"
    CONTENT_FILTER = "content_filter"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class ModelCompletion:
    """`finish_reason` is the provider's word: look at `tool_calls` to know whether tools were called.
    `usage` is None when the provider did not tell."""

    text: str
    tool_calls: tuple[ToolCall, ...]
    finish_reason: FinishReason
    usage: ModelUsage | None
    response_model: str = ""
    response_id: str = ""


class ModelFault(StrEnum):
    CONNECT = "connect"  # no connection, or it broke before an answer began
    FIRST_BYTE = "first_byte"  # connected, but silent for longer than the limit
    IDLE = "idle"  # fell silent in mid-answer
    TOTAL = "total"  # `total_seconds` passed
    NO_FINISH = "no_finish"  # the stream broke or ended without a finish_reason
    STATUS = "status"  # answered with an HTTP error; `status` has it
    PROVIDER = "provider"  # an error object in mid-stream; `status` when it names one
    MALFORMED = "malformed"  # not JSON, or not the shape of a chat completion
    TOO_LARGE = "too_large"  # more output, or a longer line, than is allowed


class ModelCallError(Exception):
    """A model call failed. `code` is the provider's own word, such as `context_length_exceeded`."""

    def __init__(
        self,
        fault: ModelFault,
        message: str,
        *,
        is_retryable: bool,
        status: int | None = None,
        retry_after_seconds: float | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.fault = fault
        self.is_retryable = is_retryable
        self.status = status
        self.retry_after_seconds = retry_after_seconds
        self.code = code


class ModelCall(Protocol):
    """An open call: iterate it to the end, then read `completion`."""

    def __aiter__(self) -> AsyncIterator[str]: ...

    @property
    def completion(self) -> ModelCompletion:
        """Raises RuntimeError before the iteration has ended."""

    @property
    def partial_text(self) -> str:
        """The pieces given so far, joined."""


class Model(Protocol):
    def call(self, request: ModelRequest) -> AbstractAsyncContextManager[ModelCall]: ...
