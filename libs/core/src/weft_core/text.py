"""Text at the border: what neither protobuf nor PostgreSQL can hold becomes U+FFFD."""

import re
from typing import Final

REPLACEMENT: Final = "\ufffd"
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """Return `text` with NUL and lone surrogates replaced, code point for code point.

    Two surrogates that stand side by side as a pair are one character that came in halves: they are joined first.
    """
    if _UNSTORABLE.search(text) is None:
        return text
    joined = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if _has_surrogate(text) else text
    return _UNSTORABLE.sub(REPLACEMENT, joined)


def split_trailing_surrogate(text: str) -> tuple[str, str]:
    """Return `text` and the high surrogate at its end, which waits for its other half: `("ab", "\\ud83d")`."""
    if text and "\ud800" <= text[-1] <= "\udbff":
        return text[:-1], text[-1]
    return text, ""


def byte_length(text: str) -> int:
    """Return the length in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def cut_to_bytes(text: str, limit: int) -> str:
    """Return the longest beginning of `text` that takes at most `limit` bytes of UTF-8, in whole code points."""
    if len(text) * 4 <= limit or byte_length(text) <= limit:
        return text
    return text.encode("utf-8", "surrogatepass")[:limit].decode("utf-8", "ignore")


def cut_to_code_points(text: str, limit: int) -> str:
    """Return the first `limit` code points; the last becomes an ellipsis where something was cut off."""
    return text if len(text) <= limit else text[: max(limit - 1, 0)] + "…"


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
