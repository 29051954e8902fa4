"""One answer, put together from its chunks."""

import json
from dataclasses import dataclass, field

from weft_core.text import byte_length, split_trailing_surrogate, storable

from weft_agent_runner.domain.model import FinishReason, ModelCompletion, ModelUsage, ToolCall
from weft_agent_runner.model.chunks import Chunk, Delta, MalformedChunkError, ToolCallPiece, Usage

FINISH_REASONS = {reason.value: reason for reason in FinishReason} | {"function_call": FinishReason.TOOL_CALLS}


# More in one answer is no plan but a loop: each call becomes a message with its result.
MAX_TOOL_CALLS = 128
# Providers' counts are summed in 64 bits: no honest one comes near.
MAX_TOKENS = 2**40


class OutputTooLargeError(Exception):
    """More text, arguments or tool calls than the call may have."""


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)

    def has_whole_arguments(self) -> bool:
        try:
            json.loads("".join(self.arguments))
        except ValueError:
            return False
        return True


class Assembly:
    """Only the first choice counts, however many there are."""

    def __init__(self, max_output_bytes: int) -> None:
        self._room_bytes = max_output_bytes
        self._texts: list[str] = []
        self._half = ""  # a high surrogate that waits for its other half
        self._calls: list[_Call] = []
        self._call_at: dict[int, _Call] = {}
        self._finish_reason = ""
        self._usage: Usage | None = None
        self._model = ""
        self._id = ""

    @property
    def is_finished(self) -> bool:
        return bool(self._finish_reason)

    @property
    def has_usage(self) -> bool:
        return self._usage is not None

    @property
    def text(self) -> str:
        return "".join(self._texts)

    def add(self, chunk: Chunk) -> str:
        """Return the text that the chunk brought. Raises: OutputTooLargeError."""
        self._id = self._id or chunk.id or ""
        self._model = self._model or chunk.model or ""
        self._usage = chunk.usage or (chunk.x_groq and chunk.x_groq.usage) or self._usage
        texts = []
        for choice in chunk.choices or ():
            if choice.index:
                continue
            delta = choice.delta or choice.message
            if delta is not None:
                texts.append(self._add_delta(delta))
            self._finish_reason = choice.finish_reason or self._finish_reason
        return "".join(texts)

    def last_text(self) -> str:
        """Return what still waited when the stream ended."""
        rest, self._half = storable(self._half), ""
        self._texts.append(rest)
        return rest

    def completion(self) -> ModelCompletion:
        """Raises: MalformedChunkError."""
        return ModelCompletion(
            text=self.text,
            tool_calls=tuple(self._tool_calls()),
            finish_reason=FINISH_REASONS.get(self._finish_reason, FinishReason.OTHER),
            usage=_usage(self._usage),
            response_model=storable(self._model),
            response_id=storable(self._id),
        )

    def _add_delta(self, delta: Delta) -> str:
        for piece in delta.tool_calls or ():
            self._add_call(piece)
        text = delta.text()
        if not text:
            return ""
        whole, self._half = split_trailing_surrogate(self._half + text)
        whole = storable(whole)
        self._spend(whole)
        self._texts.append(whole)
        return whole

    def _add_call(self, piece: ToolCallPiece) -> None:
        call = self._call_of(piece)
        function = piece.function
        call.id = call.id or self._spent(piece.id)
        if function is None:
            return
        call.name = call.name or self._spent(function.name)
        arguments = json.dumps(function.arguments) if isinstance(function.arguments, dict) else function.arguments
        if arguments:
            self._spend(arguments)
            call.arguments.append(arguments)

    def _call_of(self, piece: ToolCallPiece) -> _Call:
        """By index; where vendors send none, or 0 for all, a new id after whole arguments begins a new call."""
        last = self._calls[-1] if self._calls else None
        call = last if piece.index is None else self._call_at.get(piece.index)
        is_new_id = call is not None and bool(piece.id) and bool(call.id) and piece.id != call.id
        if call is None or (is_new_id and (piece.index is None or call.has_whole_arguments())):
            if len(self._calls) >= MAX_TOOL_CALLS:
                raise OutputTooLargeError
            call = _Call()
            self._calls.append(call)
        if piece.index is not None:
            self._call_at[piece.index] = call
        return call

    def _spend(self, text: str) -> None:
        self._room_bytes -= byte_length(text)
        if self._room_bytes < 0:
            raise OutputTooLargeError

    def _spent(self, text: str | None) -> str:
        self._spend(text or "")
        return text or ""

    def _tool_calls(self) -> list[ToolCall]:
        made: list[ToolCall] = []
        for position, call in enumerate(self._calls):
            if not call.name:
                raise MalformedChunkError("a tool call without a name")
            used = {other.id for other in made}
            call_id = storable(call.id)
            if not call_id or call_id in used:
                call_id = f"call_{position}"
            # Tools without parameters are often called with no arguments at all.
            arguments = storable("".join(call.arguments)) or "{}"
            made.append(ToolCall(id=call_id, name=storable(call.name), arguments=arguments))
        return made


def _usage(usage: Usage | None) -> ModelUsage | None:
    """Return what the provider counted; None when that is no count."""
    if usage is None:
        return None
    prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
    counts = (
        usage.prompt_tokens or 0,
        usage.completion_tokens or 0,
        (prompt and prompt.cached_tokens) or 0,
        (completion and completion.reasoning_tokens) or 0,
    )
    return ModelUsage(*counts) if all(0 <= count < MAX_TOKENS for count in counts) else None
