"""What a runner tells of a run while it goes on. Events that go with a message, a step or a transition are not here:
the queue writes those itself."""

from dataclasses import dataclass

from weft_core.text import byte_length

from weft_agent_runner.domain.run import PlacedToolCall, Usage


@dataclass(frozen=True, slots=True)
class MessageStarted:
    message_id: str
    model: str


@dataclass(frozen=True, slots=True)
class MessageDelta:
    """`offset` counts Unicode code points."""

    message_id: str
    offset: int
    text: str


@dataclass(frozen=True, slots=True)
class ToolExecuting:
    call: PlacedToolCall


@dataclass(frozen=True, slots=True)
class ToolProgress:
    call: PlacedToolCall
    message: str
    fraction: float | None = None


@dataclass(frozen=True, slots=True)
class UsageUpdated:
    usage: Usage


Event = MessageStarted | MessageDelta | ToolExecuting | ToolProgress | UsageUpdated


def event_size(event: Event) -> int:
    """Return about how many bytes an event takes."""
    match event:
        case MessageDelta(text=text):
            return 64 + byte_length(text)
        case ToolExecuting(call=placed):
            return 128 + byte_length(placed.call.arguments)
        case ToolProgress(message=message):
            return 64 + byte_length(message)
        case _:
            return 128
