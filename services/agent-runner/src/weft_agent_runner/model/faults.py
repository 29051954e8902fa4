"""What a provider's failure means to the runner."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import openai
from weft_core.text import cut_to_code_points, storable

from weft_agent_runner.domain.model import ModelCallError, ModelFault
from weft_agent_runner.model.chunks import Chunk

RETRYABLE_STATUSES = frozenset({408, 409, 429})
MESSAGE_CODE_POINTS = 500
HOPELESS = frozenset({"invalid_request_error", "authentication_error", "permission_error", "context_length_exceeded"})
"""Types and codes of errors in mid-stream that the same request would meet again."""


def is_retryable_status(status: int) -> bool:
    return status in RETRYABLE_STATUSES or status >= 500


def refused(error: openai.APIStatusError, now: datetime) -> ModelCallError:
    return ModelCallError(
        ModelFault.STATUS,
        _readable(error.message),
        is_retryable=is_retryable_status(error.status_code),
        status=error.status_code,
        retry_after_seconds=retry_after_seconds(error.response.headers, now),
        code=str(error.code) if error.code else None,
    )


def retry_after_seconds(headers: Mapping[str, str], now: datetime) -> float | None:
    """How long the provider asks to wait: from milliseconds, seconds or a date; None if it does not say."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    seconds = _number(text)
    if seconds is not None or text is None:
        return seconds
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds())


def error_in(chunk: Chunk) -> ModelCallError | None:
    """The failure that a chunk carries instead of a piece of the answer."""
    if chunk.error:
        return _broken_off(chunk.error if isinstance(chunk.error, dict) else {"message": chunk.error})
    if chunk.object == "error":
        return _broken_off({"message": chunk.message, "code": chunk.code})
    if any(choice.finish_reason == "error" for choice in chunk.choices or ()):
        return _broken_off({})
    return None


def _broken_off(error: Mapping[str, Any]) -> ModelCallError:
    code = error.get("code")
    status = code if isinstance(code, int) and 400 <= code < 600 else None
    is_hopeless = str(code) in HOPELESS or str(error.get("type")) in HOPELESS
    return ModelCallError(
        ModelFault.PROVIDER,
        _readable(str(error.get("message") or "the provider broke its answer off")),
        is_retryable=is_retryable_status(status) if status else not is_hopeless,
        status=status,
        code=str(code) if code else None,
    )


def _readable(message: str) -> str:
    return storable(cut_to_code_points(message, MESSAGE_CODE_POINTS))


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
