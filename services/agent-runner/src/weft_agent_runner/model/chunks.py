"""The shape of a chat.completion chunk, as wide as the habits of the vendors make it."""

import json
from typing import Any

import msgspec


class FunctionPiece(msgspec.Struct):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None  # an object where the vendor forgot that it is a text


class ToolCallPiece(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: FunctionPiece | None = None


class Delta(msgspec.Struct):
    content: str | list[dict[str, Any]] | None = None  # parts where the vendor mixes in its thoughts
    refusal: str | None = None
    tool_calls: list[ToolCallPiece] | None = None

    def text(self) -> str:
        if isinstance(self.content, list):
            return "".join(part["text"] for part in self.content if isinstance(part.get("text"), str))
        return (self.content or "") + (self.refusal or "")


class Choice(msgspec.Struct):
    index: int | None = 0
    delta: Delta | None = None
    message: Delta | None = None  # in place of a delta, when the answer was not streamed
    finish_reason: str | None = None  # some vendors send "" for none


class PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None


class CompletionDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None


class VendorExtension(msgspec.Struct):
    usage: Usage | None = None


class Chunk(msgspec.Struct):
    id: str | None = None
    object: str | None = None
    model: str | None = None
    choices: list[Choice] | None = None
    usage: Usage | None = None
    x_groq: VendorExtension | None = None
    error: dict[str, Any] | str | None = None
    message: str | None = None  # of an error that comes without its envelope
    code: int | str | None = None


class MalformedChunkError(Exception):
    """Not JSON, or not the shape of a chunk."""


_decode = msgspec.json.Decoder(Chunk).decode


def decode_chunk(data: bytes) -> Chunk:
    """Raises: MalformedChunkError."""
    try:
        return _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _decode_leniently(data)


def _decode_leniently(data: bytes) -> Chunk:
    """msgspec refuses lone surrogates and bytes that are not UTF-8; both are mended later, not refused."""
    try:
        return msgspec.convert(json.loads(data.decode("utf-8", "replace")), Chunk)
    except (ValueError, RecursionError) as error:
        raise MalformedChunkError(str(error)) from error
