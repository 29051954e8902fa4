"""Usage as values: what is asked for, and where in an answer a page begins."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias
from uuid import UUID

from weft_core.errors import FieldViolation, InvalidFieldsError

DEFAULT_RANGE = timedelta(days=30)
MAX_RANGE = timedelta(days=400)

# The values of a row's groups, as texts, in the order of the groups.
Keys: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """A range of time; its end is excluded."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class UsageQuery:
    """None and empty: whatever. `groups` are names of columns; `name` is that of a model, or a tool."""

    start: datetime | None
    end: datetime | None
    groups: tuple[str, ...]
    agent_id: UUID | None = None
    project_id: UUID | None = None
    name: str = ""

    def range_at(self, now: datetime) -> Range:
        """Raises: InvalidFieldsError: it ends before it starts, or is too long."""
        end = self.end or now
        start = self.start or end - DEFAULT_RANGE
        if start > end:
            raise InvalidFieldsError([FieldViolation("end_time", "must not be before start_time", "range")])
        if end - start > MAX_RANGE:
            told = f"must be at most {MAX_RANGE.days} days before end_time"
            raise InvalidFieldsError([FieldViolation("start_time", told, "range")])
        return Range(start, end)


@dataclass(frozen=True, slots=True)
class Place:
    """The range of an answer, and the row after which a page of it begins."""

    range: Range
    after: Keys

    def packed(self) -> bytes:
        times = (self.range.start.isoformat(), self.range.end.isoformat())
        return json.dumps([*times, *self.after], ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def unpacked(cls, cursor: bytes) -> "Place":
        start, end, *after = json.loads(cursor)
        return cls(Range(datetime.fromisoformat(start), datetime.fromisoformat(end)), tuple(after))
