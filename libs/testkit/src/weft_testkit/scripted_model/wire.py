"""The bytes of an answer: chat.completion chunks as server-sent events, or one chat.completion object."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from weft_testkit.scripted_model.conversation import Conversation, text_of
from weft_testkit.scripted_model.grammar import Script
from weft_testkit.scripted_model.planner import Plan, PlannedCall

TOKEN = re.compile(r"\s*\S+|\s+")


@dataclass(frozen=True, slots=True)
class Answer:
    """`tokens` are paced, one event each; `head` goes with the first, `tail` follows the last."""

    head: bytes
    tokens: Sequence[bytes]
    tail: bytes
    whole: dict[str, Any]


def split_tokens(text: str) -> list[str]:
    return TOKEN.findall(text)


def text_tokens(plan: Plan, script: Script) -> list[str]:
    """The text cut into tokens, with the oddities that the script asks for, filled up or cut to `count`."""
    tokens = split_tokens(plan.text)
    odd = {"none": [], "lone": [" lone", "\ud83d", " half"], "split": [" ", "\ud83d", "\ude00"]}[script.surrogates]
    if script.nul:
        odd = [*odd, " a\x00b"]
    if script.line:
        odd = [*odd, "x" * script.line]
    tokens[1:1] = odd
    if script.count is None:
        return tokens
    return tokens[: script.count] + [f" t{number}" for number in range(len(tokens) + 1, script.count + 1)]


def build_answer(conversation: Conversation, script: Script, plan: Plan, answer_id: str, created: int) -> Answer:
    writer = _ChunkWriter(answer_id, created, conversation, script)
    texts = [] if plan.calls else text_tokens(plan, script)
    head = writer.delta({"role": "assistant", "content": None if plan.calls else ""})
    tokens = writer.calls(plan.calls) if plan.calls else writer.texts(texts)
    finish = script.finish or ("tool_calls" if plan.calls else "stop")
    usage = _usage(conversation, len(tokens))
    tail = writer.finish(finish)
    if conversation.include_usage and not script.no_usage:
        tail += writer.usage(usage)
    if not script.no_done:
        tail += writer.event(b"[DONE]")
    message: dict[str, Any] = {"role": "assistant", "content": None if plan.calls else "".join(texts)}
    if plan.calls:
        message["tool_calls"] = [
            {"id": writer.call_id(at), "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for at, call in enumerate(plan.calls)
        ]
    whole = {**writer.envelope, "object": "chat.completion"}
    whole["choices"] = [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}]
    if not script.no_usage:
        whole["usage"] = usage
    return Answer(head=head, tokens=tokens, tail=tail, whole=whole)


def error_object(message: str, kind: str, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def to_json(value: object) -> bytes:
    """UTF-8 as it is, as providers send it; escapes only where a lone surrogate cannot be encoded."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


class _ChunkWriter:
    """Writes the chunks of one answer; what they have in common is encoded once."""

    def __init__(self, answer_id: str, created: int, conversation: Conversation, script: Script) -> None:
        self.envelope: dict[str, Any] = {
            "id": answer_id,
            "object": "chat.completion.chunk",
            "created": created,
            "model": conversation.model,
            "system_fingerprint": "fp_scripted",
        }
        self._script = script
        self._opening = to_json(self.envelope)[:-1] + b',"choices":['
        self._with_usage = conversation.include_usage and not script.no_usage
        end = b"\r\n" if script.crlf else b"\n"
        self._before = (b": scripted" + end + end if script.comments else b"") + (
            b"data:" if script.no_space else b"data: "
        )
        self._after = end + end

    def event(self, data: bytes) -> bytes:
        return self._before + data + self._after

    def delta(self, delta: dict[str, Any]) -> bytes:
        return self._choices(b'"delta":' + to_json(delta) + b',"logprobs":null,"finish_reason":null}')

    def finish(self, reason: str) -> bytes:
        return self._choices(b'"delta":{},"logprobs":null,"finish_reason":' + to_json(reason) + b"}")

    def texts(self, tokens: Sequence[str]) -> list[bytes]:
        return [self.delta({"content": token}) for token in tokens]

    def calls(self, calls: Sequence[PlannedCall]) -> list[bytes]:
        chunks = []
        for at, call in enumerate(calls):
            name = {"id": self.call_id(at), "type": "function"}
            chunks.append(self._call_delta(at, {**name, "function": {"name": call.name, "arguments": ""}}))
            step = self._script.pieces or len(call.arguments) or 1
            for start in range(0, len(call.arguments), step):
                piece: dict[str, Any] = {"function": {"arguments": call.arguments[start : start + step]}}
                if self._script.repeat_ids:
                    piece = {**name, "function": {"name": call.name, **piece["function"]}}
                chunks.append(self._call_delta(at, piece))
        return chunks

    def call_id(self, at: int) -> str:
        return f"call_{self.envelope['id'].removeprefix('chatcmpl-')}_{at}"

    def usage(self, usage: dict[str, Any]) -> bytes:
        return self.event(self._opening + b'],"usage":' + to_json(usage) + b"}")

    def _call_delta(self, at: int, piece: dict[str, Any]) -> bytes:
        index = {} if self._script.no_index else {"index": at}
        return self.delta({"tool_calls": [{**index, **piece}]})

    def _choices(self, rest: bytes) -> bytes:
        choices = b",".join(b'{"index":%d,%b' % (number, rest) for number in range(self._script.choices))
        return self.event(self._opening + choices + (b'],"usage":null}' if self._with_usage else b"]}"))


def _usage(conversation: Conversation, completion_tokens: int) -> dict[str, Any]:
    prompt_tokens = sum(4 + len(split_tokens(text_of(message))) for message in conversation.messages)
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }
