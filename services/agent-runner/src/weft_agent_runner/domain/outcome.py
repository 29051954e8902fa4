"""What tool calls come to, and what the model is told of those that gave no result."""

from dataclasses import dataclass
from enum import StrEnum

from weft_agent_runner.domain.run import PlacedToolCall


class ToolFailureReason(StrEnum):
    """The names are those of weft.runs.v1.ToolFailureReason."""

    UNKNOWN_TOOL = "UNKNOWN_TOOL"
    DENIED = "DENIED"
    ARGUMENTS_INVALID = "ARGUMENTS_INVALID"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"
    CANCELLED = "CANCELLED"
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"
    UNAVAILABLE = "UNAVAILABLE"
    TOO_MANY_CALLS = "TOO_MANY_CALLS"


@dataclass(frozen=True, slots=True)
class ToolCompleted:
    place: PlacedToolCall
    content: str
    is_truncated: bool = False
    duration_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ToolFailed:
    """`may_have_happened`: nobody knows whether the call had its effect."""

    place: PlacedToolCall
    reason: ToolFailureReason
    message: str
    may_have_happened: bool = False


ToolOutcome = ToolCompleted | ToolFailed


def told_to_model(outcome: ToolOutcome) -> str:
    if isinstance(outcome, ToolCompleted):
        return outcome.content
    return f"Error: {outcome.message}"


def refused_before_start(place: PlacedToolCall, max_calls: int) -> ToolFailed | None:
    """Return why a call is not begun at all, if so. All else is for the tools service to judge: it keeps the audit."""
    if place.index < max_calls:
        return None
    return ToolFailed(
        place,
        ToolFailureReason.TOO_MANY_CALLS,
        f"the call was not begun: at most {max_calls} tool calls are taken in one answer; ask again for the rest",
    )


def stopped_call(place: PlacedToolCall, *, was_begun: bool) -> ToolFailed:
    told = (
        "the call was cancelled; whether it took effect is unknown"
        if was_begun
        else "the call was cancelled before it began"
    )
    return ToolFailed(place, ToolFailureReason.CANCELLED, told, may_have_happened=was_begun)
