"""What a tool call came to, bounded so that a model and a database can take it."""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from weft_core.text import cut_to_bytes, cut_to_code_points, storable

MAX_CONTENT_BYTES: Final = 64 * 1024
MAX_MESSAGE_CHARACTERS: Final = 2_000


class FailureReason(StrEnum):
    """Named as in weft.runs.v1.ToolFailureReason."""

    UNKNOWN_TOOL = "UNKNOWN_TOOL"
    DENIED = "DENIED"
    ARGUMENTS_INVALID = "ARGUMENTS_INVALID"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"
    CANCELLED = "CANCELLED"
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"


@dataclass(frozen=True, slots=True)
class Completed:
    content: str
    is_truncated: bool = False
    duration_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Failed:
    reason: FailureReason
    message: str
    duration_seconds: float | None = None


Outcome = Completed | Failed


def completed(result: object, duration_seconds: float) -> Completed:
    """Return what the model is given of a handler's result: a text as it is, anything else as JSON.

    Of a longer text no more is looked at than can be kept.
    """
    text = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False, default=str)
    head = storable(text[:MAX_CONTENT_BYTES])
    content = cut_to_bytes(head, MAX_CONTENT_BYTES)
    return Completed(content, len(text) > MAX_CONTENT_BYTES or len(content) < len(head), duration_seconds)


def failed(reason: FailureReason, message: str, duration_seconds: float | None = None) -> Failed:
    return Failed(reason, storable(cut_to_code_points(message, MAX_MESSAGE_CHARACTERS)), duration_seconds)
