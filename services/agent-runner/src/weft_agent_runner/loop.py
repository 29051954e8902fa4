"""The life of a run in this process: model call, tool calls, model call … until it is over."""

from weft_agent_runner.attachment_turn import AttachmentTurn
from weft_agent_runner.domain.book import Book
from weft_agent_runner.domain.conversation import Conversation
from weft_agent_runner.domain.run import ClaimedRun
from weft_agent_runner.lane import Line
from weft_agent_runner.model_turn import ModelTurn
from weft_agent_runner.tool_turn import ToolTurn
from weft_agent_runner.workshop import Workshop, patiently


class RunLoop:
    def __init__(self, workshop: Workshop, run: ClaimedRun, book: Book, line: Line, deadline: float) -> None:
        self._shop, self._run, self._book, self._line, self._deadline = workshop, run, book, line, deadline
        self.activity = "loading"  # for people

    async def run(self) -> None:
        """Raises: RunLostError. EntryError. PeerUnavailableError: what the run needs could not be loaded."""
        book = self._book
        equipment = await self._shop.equipper.equip(self._run)
        await self._read_attachments()
        model_turn = ModelTurn(self._shop, self._run, book, self._line, equipment, self._deadline)
        tool_turn = ToolTurn(self._shop, self._run, book, self._line, equipment)
        await self._catch_up(tool_turn)
        while not book.is_over:
            self.activity = f"model call {book.finished_steps + 1}"
            await model_turn.execute()
            if book.calls and not book.is_over:
                self.activity = f"tool calls of step {book.finished_steps}"
                await tool_turn.execute()
        if book.has_succeeded:
            self._shop.titler.offer(self._run, model_turn.equipment, book.conversation)

    async def _read_attachments(self) -> None:
        if self._run.unread_attachments:
            self.activity = "reading attachments"
            await AttachmentTurn(self._shop, self._run, self._deadline).execute()

    async def _catch_up(self, tool_turn: ToolTurn) -> None:
        """Do what another runner left open. Its tool calls are keyed by their place: none has its effect twice."""
        if self._run.context is None or self._run.unread_attachments:
            await self._read_context()
        if self._book.calls:
            self.activity = f"tool calls of step {self._book.finished_steps}"
            await tool_turn.execute()
            # The context leaves out calls without a result, so it is read again when they have one.
            await self._read_context()

    async def _read_context(self) -> None:
        remaining = self._deadline - self._shop.clock.monotonic()
        context = await patiently(lambda: self._shop.queue.read_context(self._run), remaining)
        self._book.conversation = Conversation(context)
