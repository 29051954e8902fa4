"""The files of a run's context that nobody has read: each is read, and its text stored, before the model is called."""

import asyncio

from weft_agent_runner.domain.attachment import Attachment
from weft_agent_runner.domain.run import ClaimedRun
from weft_agent_runner.workshop import Workshop, patiently


class AttachmentTurn:
    def __init__(self, workshop: Workshop, run: ClaimedRun, deadline: float) -> None:
        self._shop, self._run, self._deadline = workshop, run, deadline

    async def execute(self) -> None:
        """Raises: RunLostError. PeerUnavailableError."""
        tasks = [asyncio.create_task(self._read(attachment)) for attachment in self._run.unread_attachments]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, attachment: Attachment) -> None:
        shop, run = self._shop, self._run
        async with shop.reading_slots:
            content = await patiently(lambda: shop.attachments.read(run, attachment), self._remaining())
            extraction = await shop.extractor.extract(attachment.media_type, content)
            await patiently(lambda: shop.attachments.finish(run, attachment, extraction), self._remaining())

    def _remaining(self) -> float:
        return self._deadline - self._shop.clock.monotonic()
