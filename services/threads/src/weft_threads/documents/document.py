"""Documents as values, and how a text is cut into passages."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

# In code points: at most 16 KiB of UTF-8, well below what a passage may have, and short enough to rank well.
PASSAGE_LENGTH: Final = 4000

# Where a passage may end, best first: before a heading, after a paragraph, after a line, after a word.
_BREAKS: Final = (re.compile(r"\n(?=#)"), re.compile(r"\n\s*\n"), re.compile(r"\n"), re.compile(r"\s"))


@dataclass(frozen=True, slots=True)
class Document:
    document_id: UUID
    project_id: UUID
    title: str
    content_type: str
    size_bytes: int
    create_time: datetime
    update_time: datetime
    created_by: str


@dataclass(frozen=True, slots=True)
class NewDocument:
    project_id: UUID
    title: str
    content_type: str
    text: str


@dataclass(frozen=True, slots=True)
class Range:
    """A piece of a document's text, in code points."""

    document: Document
    text: str
    offset: int
    total_length: int


@dataclass(frozen=True, slots=True)
class Hit:
    """A place that fits a search, in code points."""

    document: Document
    offset: int
    length: int
    snippet: str
    score: float


def passages(text: str) -> Iterator[str]:
    """Cut a text into passages; joined they are the text again."""
    start = 0
    while start < len(text):
        end = start + PASSAGE_LENGTH
        if end < len(text):
            end = _break_before(text, start + PASSAGE_LENGTH // 4, end)
        yield text[start:end]
        start = end


def _break_before(text: str, low: int, high: int) -> int:
    """Return the best place to end a passage behind `low` and not behind `high`."""
    for pattern in _BREAKS:
        ends = [found.end() for found in pattern.finditer(text, low, high)]
        if ends:
            return ends[-1]
    return high
