"""What runners do with files: read one, and say what became of it."""

from collections.abc import Callable
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from weft_core.caller import Caller
from weft_core.text import cut_to_code_points

from weft_threads.attachments import parts, store
from weft_threads.attachments.attachment import Extracted, Failed, StoredFile
from weft_threads.runs.end import run_not_found
from weft_threads.runs.held import require_held, require_run
from weft_threads.store.database import Database

_LOCK_THREAD = sa.text("""
  SELECT thread_id FROM threads WHERE tenant_id = current_tenant() AND delete_time IS NULL
    AND thread_id = (SELECT thread_id FROM runs WHERE tenant_id = current_tenant() AND run_id = :run)
  FOR NO KEY UPDATE
""")
_SHOWN_NAME = 60


class Attachments:
    """Every method raises UnauthenticatedError (TOKEN_INVALID), NotFoundError (RUN_NOT_FOUND, ATTACHMENT_NOT_FOUND) and
    FailedPreconditionError (EPOCH_STALE). `announce(thread)` tells watchers that a thread's log has grown."""

    def __init__(self, database: Database, announce: Callable[[UUID], None]) -> None:
        self._database, self._announce = database, announce

    async def describe(self, caller: Caller, run_id: UUID, epoch: int, attachment_id: UUID) -> StoredFile:
        require_run(caller, run_id)

        async def work(tx: AsyncConnection) -> StoredFile:
            return await store.get_file(tx, await require_held(tx, run_id, epoch), attachment_id)

        return await self._database.transact(caller.tenant_id, work)

    async def read_piece(self, caller: Caller, attachment_id: UUID, start: int, length: int) -> bytes:
        """Return a piece of a file that was described to the same caller."""
        return await self._database.transact(
            caller.tenant_id, lambda tx: store.read_piece(tx, attachment_id, start, length)
        )

    async def finish(
        self, caller: Caller, run_id: UUID, epoch: int, attachment_id: UUID, outcome: Extracted | Failed
    ) -> None:
        """Store what became of a file. The first outcome stays."""
        require_run(caller, run_id)

        async def work(tx: AsyncConnection) -> UUID:
            # Thread before run, as all that changes what a thread holds; a take-up locks it too, so the epoch stays.
            if (await tx.execute(_LOCK_THREAD, {"run": run_id})).first() is None:
                raise run_not_found()
            thread_id = await require_held(tx, run_id, epoch)
            file = await store.lock_file(tx, thread_id, attachment_id)
            if file.state == "pending":
                await _settle(tx, thread_id, file.message_id, attachment_id, outcome)
            return thread_id

        self._announce(await self._database.transact(caller.tenant_id, work))


async def _settle(
    tx: AsyncConnection, thread_id: UUID, message_id: UUID, attachment_id: UUID, outcome: Extracted | Failed
) -> None:
    content = await store.message_content(tx, message_id)
    attachment = parts.part_of(content.parts, attachment_id)
    if attachment is None:
        raise store.attachment_not_found()
    parts.settle(attachment, outcome)
    await store.rewrite_message(tx, message_id, content)
    await store.end_file(tx, attachment_id, outcome.reason if isinstance(outcome, Failed) else None)
    await store.log_event(tx, thread_id, message_id, *parts.thread_event(message_id, attachment))
    if isinstance(outcome, Failed):
        name = cut_to_code_points(attachment.name, _SHOWN_NAME)
        await store.draw_attention(tx, thread_id, f"the attachment {name!r} could not be read: {outcome.message}")
