"""Typed, sortable ids, as in TypeID: a prefix that names the kind, `_`, and a uuid v7 in 26 characters.

Source: TypeID specification 0.3: Crockford's base32 in lower case without i, l, o, u; 130 bits, the top two zero.
"""

from typing import Final
from uuid import UUID

from weft_core.errors import FieldViolation, InvalidFieldsError

KINDS: Final = {
    "ten": "tenant",
    "key": "API key",
    "agt": "agent",
    "agv": "agent version",
    "prj": "project",
    "doc": "document",
    "tsk": "task",
    "thr": "thread",
    "msg": "message",
    "att": "attachment",
    "run": "run",
    "tlx": "tool execution",
    "rnr": "runner",
}

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES: Final = {character: value for value, character in enumerate(_ALPHABET)}
_LENGTH: Final = 26
# Two characters at a time: formatting an id is on the path of every event.
_PAIRS: Final = [high + low for high in _ALPHABET for low in _ALPHABET]


def format_id(prefix: str, value: UUID) -> str:
    """Return the text of an id, as `run_01h455vb4pex5vsknk084sn02q`."""
    number = value.int
    pairs = [_PAIRS[(number >> shift) & 1023] for shift in range(120, -1, -10)]
    return f"{prefix}_{''.join(pairs)}"


def parse_id(prefix: str, text: str, field: str = "") -> UUID:
    """Return the uuid of an id. Only the canonical text of the wanted kind is taken.

    Raises: InvalidFieldsError, naming `field` (default: the kind's usual field) and both kinds when they differ.
    """
    found, _, suffix = text.partition("_")
    if found != prefix:
        raise _refused(prefix, field, f"{_quoted(text)} is {_named(found)}; needed is {_named(prefix)}, {prefix}_…")
    if len(suffix) != _LENGTH or suffix[0] > "7":
        raise _refused(prefix, field, f"{_quoted(text)} is not {_named(prefix)}: {prefix}_ and 26 characters")
    number = 0
    for character in suffix:
        value = _VALUES.get(character)
        if value is None:
            raise _refused(prefix, field, f"{_quoted(text)} holds {character!r}, which no id does")
        number = number << 5 | value
    return UUID(int=number)


def _named(prefix: str) -> str:
    kind = KINDS.get(prefix)
    if kind is None:
        return "no id"
    return f"{'an' if kind[0] in 'aeiouAEIOU' else 'a'} {kind} id"


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "…")


def _refused(prefix: str, field: str, description: str) -> InvalidFieldsError:
    name = field or f"{KINDS.get(prefix, prefix).lower().replace(' ', '_')}_id"
    return InvalidFieldsError([FieldViolation(name, description, "id")])
