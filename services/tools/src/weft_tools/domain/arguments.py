"""Arguments of a tool call: from the model's text to checked values."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn

from weft_core.errors import FieldViolation, InvalidArgumentError
from weft_core.text import storable

FIELD: Final = "arguments_json"
MAX_VIOLATIONS: Final = 20
MAX_DEPTH: Final = 100


def parse_arguments(text: str) -> dict[str, Any]:
    """Return the object that `text` is; an empty text is an empty object, as models write it.

    Texts in it become storable. Raises: InvalidArgumentError TOOL_ARGUMENTS_INVALID.
    """
    if not text.strip():
        return {}
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
        cleaned = _cleaned(value)
    except RecursionError:
        raise arguments_invalid([FieldViolation(FIELD, "is nested too deeply")]) from None
    except ValueError as error:
        raise arguments_invalid([FieldViolation(FIELD, f"is not JSON: {error}")]) from None
    if not isinstance(cleaned, dict):
        raise arguments_invalid([FieldViolation(FIELD, f"must be a JSON object, not {_kind(cleaned)}")])
    return cleaned


def digest_of(arguments: Mapping[str, Any]) -> bytes:
    """Return SHA-256 of the canonical text: the order of keys and the spaces do not matter."""
    text = json.dumps(arguments, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).digest()


def digest_of_text(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def arguments_invalid(violations: Sequence[FieldViolation]) -> InvalidArgumentError:
    told = "; ".join(f"{each.field}: {each.description}" for each in violations)
    return InvalidArgumentError(
        "TOOL_ARGUMENTS_INVALID", f"the arguments do not fit: {told}", violations=violations[:MAX_VIOLATIONS]
    )


def _cleaned(value: Any, depth: int = 0) -> Any:
    if depth > MAX_DEPTH:
        raise RecursionError
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, list):
        return [_cleaned(each, depth + 1) for each in value]
    if isinstance(value, dict):
        return {storable(key): _cleaned(each, depth + 1) for key, each in value.items()}
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:20]} is too large a number")
    return number


def _kind(value: object) -> str:
    if value is None:
        return "null"
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "an array"}
    return names[type(value)]
