"""What was asked of the scripted model and how it ended: the evidence that tests look at."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from weft_testkit.scripted_model.conversation import Conversation, text_of

KEPT_CALLS = 20_000


class Ending(StrEnum):
    COMPLETED = "completed"  # the whole answer was written
    CLIENT_CLOSED = "client_closed"  # the client closed its socket first
    CUT = "cut"  # the script closed the connection, or ended the stream, before the answer was whole
    REFUSED = "refused"  # answered with an error status
    STOPPED = "stopped"  # the server was stopped


@dataclass(slots=True)
class CallRecord:
    """Times are wall-clock seconds since the epoch (`time.time()`), None for what did not happen."""

    number: int
    """From 1, over all calls since the last reset."""
    call_of_conversation: int
    """From 1, among the calls with the same model and first user message."""
    model: str
    messages: list[Any]
    user_text: str
    tools: list[str]
    tool_choice: Any
    stream: bool
    start_time: float = field(default_factory=time.time)
    first_token_time: float | None = None
    end_time: float | None = None
    client_closed_time: float | None = None
    ending: Ending | None = None
    status: int | None = None
    tokens_sent: int = 0
    calls_made: list[str] = field(default_factory=list)
    """Names of the tools that the answer called."""
    key_sha256: str = ""
    """Which key it came with; the key itself is nobody's business."""

    def mentions(self, marker: str) -> bool:
        return any(marker in text_of(message) for message in self.messages)


class CallLog:
    def __init__(self) -> None:
        self._calls: deque[CallRecord] = deque(maxlen=KEPT_CALLS)
        self._conversations: Counter[str] = Counter()
        self._count = 0
        self._changed = asyncio.Event()

    def begin(self, conversation: Conversation) -> CallRecord:
        self._count += 1
        self._conversations[conversation.key] += 1
        record = CallRecord(
            number=self._count,
            call_of_conversation=self._conversations[conversation.key],
            model=conversation.model,
            messages=list(conversation.messages),
            user_text=conversation.user_text,
            tools=[str(tool.get("name")) for tool in conversation.tools],
            tool_choice=conversation.tool_choice,
            stream=conversation.stream,
        )
        self._calls.append(record)
        self._notify()
        return record

    def first_token(self, record: CallRecord) -> None:
        if record.first_token_time is None:
            record.first_token_time = time.time()
            self._notify()

    def end(self, record: CallRecord, ending: Ending) -> None:
        """Only the first end of a call counts."""
        if record.ending is not None:
            return
        record.ending = ending
        record.end_time = time.time()
        if ending is Ending.CLIENT_CLOSED:
            record.client_closed_time = record.end_time
        self._notify()

    def reset(self) -> None:
        """Forget everything; calls under way go on unrecorded."""
        self._calls.clear()
        self._conversations.clear()
        self._count = 0
        self._notify()

    def find(self, *, model: str | None = None, marker: str | None = None) -> list[CallRecord]:
        return [
            record
            for record in self._calls
            if (model is None or record.model == model) and (marker is None or record.mentions(marker))
        ]

    async def wait_until(
        self,
        is_enough: Callable[[list[CallRecord]], bool],
        *,
        model: str | None = None,
        marker: str | None = None,
        timeout_seconds: float = 5.0,
    ) -> list[CallRecord]:
        """Raises: TimeoutError."""
        async with asyncio.timeout(timeout_seconds):
            while not is_enough(found := self.find(model=model, marker=marker)):
                await self._changed.wait()
        return found

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def records_as_json(records: Iterable[CallRecord]) -> list[dict[str, Any]]:
    return [asdict(record) for record in records]
