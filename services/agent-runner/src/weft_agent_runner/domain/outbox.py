"""What of one run waits to be written. One entry of it is under way at a time, so its order is kept."""

from collections import deque
from dataclasses import dataclass
from enum import IntEnum

from weft_agent_runner.domain.entry import Act, Entry, EntryResult, Verdict, judge
from weft_agent_runner.domain.events import Event, MessageDelta, ToolExecuting, event_size
from weft_agent_runner.domain.run import RunKey


class Urgency(IntEnum):
    NONE = 0  # nothing waits
    SOON = 1  # only deltas, and tool calls that began: more may come along
    NOW = 2


@dataclass(frozen=True, slots=True)
class OutboxLimits:
    """`full_size` is where who fills it should wait; the others bound one entry. In bytes, about."""

    full_size: int = 1024 * 1024
    entry_size: int = 1024 * 1024
    entry_events: int = 500
    delta_size: int = 16 * 1024


DEFAULT_LIMITS = OutboxLimits()


class _OpenDelta:
    """A delta that following ones still join."""

    def __init__(self, first: MessageDelta) -> None:
        self._first = first
        self._pieces = [first.text]
        self.size = len(first.text)

    def is_followed_by(self, delta: MessageDelta) -> bool:
        return delta.message_id == self._first.message_id and delta.offset == self._first.offset + self.size

    def join(self, delta: MessageDelta) -> None:
        self._pieces.append(delta.text)
        self.size += len(delta.text)

    def closed(self) -> MessageDelta:
        return MessageDelta(self._first.message_id, self._first.offset, "".join(self._pieces))


class Outbox:
    def __init__(self, key: RunKey, last_seq: int, limits: OutboxLimits = DEFAULT_LIMITS) -> None:
        self.key = key
        self._last_seq, self._limits = last_seq, limits
        self._events: deque[Event | _OpenDelta] = deque()
        self._size = 0
        self._is_pressing = False
        self._act: Act | None = None
        self._under_way: Entry | None = None

    @property
    def is_full(self) -> bool:
        return self._size >= self._limits.full_size

    @property
    def waiting_size(self) -> int:
        return self._size

    @property
    def urgency(self) -> Urgency:
        """How soon something must be written; NONE while an entry is under way."""
        if self._under_way is not None:
            return Urgency.NONE
        if self._act is not None or self._is_pressing or self.is_full:
            return Urgency.NOW
        return Urgency.SOON if self._events else Urgency.NONE

    def put(self, event: Event) -> None:
        self._size += event_size(event)
        if not isinstance(event, MessageDelta):
            self._is_pressing |= not isinstance(event, ToolExecuting)  # a quick call's result comes along with it
            self._events.append(event)
            return
        last = self._events[-1] if self._events else None
        if isinstance(last, _OpenDelta) and last.is_followed_by(event) and last.size < self._limits.delta_size:
            last.join(event)
        else:
            self._events.append(_OpenDelta(event))

    def put_act(self, act: Act) -> None:
        """Take what goes behind all events put before. One at a time: settle it before the next."""
        if self._act is not None:
            raise RuntimeError(f"run {self.key.run_id}: two acts at once")
        self._act = act

    def take(self) -> Entry | None:
        """Return what is to be written next; it is under way until `settle`."""
        if self.urgency is Urgency.NONE:
            return None
        events = self._take_events()
        act = None if self._events else self._act
        if act is not None:
            self._act = None
        self._under_way = Entry(self.key, self._last_seq, events, act)
        return self._under_way

    def _take_events(self) -> tuple[Event, ...]:
        taken: list[Event] = []
        size = 0
        while self._events and len(taken) < self._limits.entry_events and size < self._limits.entry_size:
            head = self._events.popleft()
            event = head.closed() if isinstance(head, _OpenDelta) else head
            size += event_size(event)
            taken.append(event)
        if not self._events:
            self._size, self._is_pressing = 0, False
        else:
            self._size = max(0, self._size - size)
        return tuple(taken)

    def settle(self, result: EntryResult) -> tuple[Entry, Verdict]:
        """Take in the answer to what is under way. What can never be written is forgotten."""
        entry = self._under_way
        if entry is None:
            raise RuntimeError(f"run {self.key.run_id}: nothing is under way")
        verdict = judge(entry, result)
        if verdict is not Verdict.REPEAT:
            self._under_way = None
        if verdict is Verdict.DONE:
            self._last_seq = entry.reached_seq
        return entry, verdict

    def under_way(self) -> Entry | None:
        return self._under_way
