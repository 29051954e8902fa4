"""The messages of a run's context, and what tools that keep state have there."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, overload

from weft_core.text import byte_length

from weft_agent_runner.domain.model import ModelMessage

MAX_MESSAGES_BACK: Final = 100
MAX_STATE_BYTES: Final = 64 * 1024
"""What a call may carry, and what a tool says at most."""


@dataclass(frozen=True, slots=True)
class _Result:
    place: int
    content: str


class Conversation(Sequence[ModelMessage]):
    """Grows by `add`; its length is its version.

    What each tool said last is found by one look back over MAX_MESSAGES_BACK messages, when it is first asked for, and
    is kept up to date by every message added since: no message is looked at twice. `looked_at` counts them.
    """

    def __init__(self, messages: Iterable[ModelMessage] = ()) -> None:
        self._messages = list(messages)
        self._results: dict[str, _Result] | None = None
        self.looked_at = 0

    def add(self, message: ModelMessage) -> None:
        self._messages.append(message)
        if self._results is not None:
            self._note(self._results, len(self._messages) - 1)

    def state_of(self, tool: str) -> str:
        """Return the last successful result of a tool among the last MAX_MESSAGES_BACK messages, "" for none."""
        results = self._results
        if results is None:
            results = self._results = {}
            for place in range(max(len(self._messages) - MAX_MESSAGES_BACK, 0), len(self._messages)):
                self._note(results, place)
        found = results.get(tool)
        if found is None or len(self._messages) - found.place > MAX_MESSAGES_BACK:
            return ""
        return found.content

    def _note(self, results: dict[str, _Result], place: int) -> None:
        self.looked_at += 1
        message = self._messages[place]
        if message.result_of:
            is_carried = byte_length(message.text) <= MAX_STATE_BYTES
            results[message.result_of] = _Result(place, message.text if is_carried else "")

    @overload
    def __getitem__(self, place: int) -> ModelMessage: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[ModelMessage]: ...
    def __getitem__(self, place: int | slice) -> ModelMessage | Sequence[ModelMessage]:
        return self._messages[place]

    def __iter__(self) -> Iterator[ModelMessage]:
        return iter(self._messages)

    def __len__(self) -> int:
        return len(self._messages)
