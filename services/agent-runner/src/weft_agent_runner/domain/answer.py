"""The text of one attempt at a model call, as it comes."""

from weft_core.text import storable

from weft_agent_runner.domain.events import Event, MessageDelta, MessageStarted


class Answer:
    def __init__(self, message_id: str, model: str) -> None:
        self._message_id, self.model = message_id, model
        self._pieces: list[str] = []
        self._length = 0

    @property
    def is_shown(self) -> bool:
        return bool(self._pieces)

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def add(self, piece: str) -> tuple[Event, ...]:
        """Return what watchers are told of a further piece."""
        piece = storable(piece)
        if not piece:
            return ()
        delta = MessageDelta(self._message_id, self._length, piece)
        is_first = not self._pieces
        self._pieces.append(piece)
        self._length += len(piece)
        return (MessageStarted(self._message_id, self.model), delta) if is_first else (delta,)
