"""What all lists have in common: pages that a model can read, and go on from."""

from collections.abc import Mapping
from typing import Any, Final

from weft_core.text import cut_to_code_points

from weft_tools.domain.tool import Arguments

DEFAULT_PAGE_SIZE: Final = 20
# Fifty names of 200 characters of four bytes, with ids around them, still fit into what a model is given.
MAX_PAGE_SIZE: Final = 50
MAX_NAME_CHARACTERS: Final = 200
PAGE_PROPERTIES: Final[Mapping[str, Any]] = {
    "page_size": {
        "type": "integer",
        "minimum": 1,
        "maximum": MAX_PAGE_SIZE,
        "description": f"How many at most; {DEFAULT_PAGE_SIZE} by default.",
    },
    "page_token": {
        "type": "string",
        "maxLength": 2048,
        "description": "next_page_token of the page before, unchanged and with the same other arguments. "
        "Leave it out for the first page.",
    },
}


def page_of(arguments: Arguments) -> tuple[int, str]:
    """Return page size and token."""
    return arguments.get("page_size", DEFAULT_PAGE_SIZE), arguments.get("page_token", "")


def name_of(text: str) -> str:
    """Return a name on one line and of bounded length."""
    readable = "".join(character if character.isprintable() else " " for character in text)
    return cut_to_code_points(readable, MAX_NAME_CHARACTERS)


def with_next(shown: dict[str, object], next_page_token: str) -> dict[str, object]:
    """Add the token of the next page, where there is one."""
    return {**shown, "next_page_token": next_page_token} if next_page_token else shown
