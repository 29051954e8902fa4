"""Chat completions over the openai client; see `weft_agent_runner.domain.model` for how it is used."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from weft_agent_runner.domain.model import ModelCall, ModelRequest


@dataclass(frozen=True, slots=True)
class ModelLimits:
    """Bounds of every call, beside the `total_seconds` that its request sets."""

    connect_seconds: float = 5.0
    first_byte_seconds: float = 60.0
    idle_seconds: float = 30.0
    max_line_bytes: int = 10 * 1024 * 1024
    max_output_bytes: int = 1024 * 1024


class OpenAIModel:
    def __init__(
        self, *, base_url: str, api_key: str, max_connections: int, limits: ModelLimits = ModelLimits()
    ) -> None:
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        raise NotImplementedError

    def call(self, request: ModelRequest) -> AbstractAsyncContextManager[ModelCall]:
        raise NotImplementedError
