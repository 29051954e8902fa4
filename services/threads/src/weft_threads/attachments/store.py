"""Files in PostgreSQL. Row-level security binds each of these to the transaction's tenant."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from weft.threads.v1 import message_pb2
from weft_core.errors import NotFoundError

from weft_threads.attachments.attachment import StoredFile

_FILE = sa.text("""
  SELECT size_bytes, sha256 FROM attachments
  WHERE tenant_id = current_tenant() AND attachment_id = :attachment AND thread_id = :thread
""")
_PIECE = sa.text("""
  SELECT substring(content FROM :start FOR :length) FROM attachments
  WHERE tenant_id = current_tenant() AND attachment_id = :attachment
""")
_LOCK = sa.text("""
  SELECT message_id, state FROM attachments
  WHERE tenant_id = current_tenant() AND attachment_id = :attachment AND thread_id = :thread FOR NO KEY UPDATE
""")
_END = sa.text("""
  UPDATE attachments SET state = :state, failure_reason = :reason, end_time = weft_now()
  WHERE tenant_id = current_tenant() AND attachment_id = :attachment
""")
_CONTENT = sa.text("SELECT content FROM messages WHERE tenant_id = current_tenant() AND message_id = :message")
_REWRITE = sa.text("""
  UPDATE messages SET content = :content WHERE tenant_id = current_tenant() AND message_id = :message
""")
_LOG = sa.text("SELECT write_thread_event(current_tenant(), :thread, :type, NULL, :message, NULL, :payload)")
_ATTENTION = sa.text("""
  UPDATE threads SET attention_reason = 'attachment_failed', attention_message = :told, attention_time = weft_now()
  WHERE tenant_id = current_tenant() AND thread_id = :thread
""")


async def get_file(tx: AsyncConnection, thread_id: UUID, attachment_id: UUID) -> StoredFile:
    row = (await tx.execute(_FILE, {"thread": thread_id, "attachment": attachment_id})).one_or_none()
    if row is None:
        raise attachment_not_found()
    return StoredFile(row.size_bytes, row.sha256)


async def read_piece(tx: AsyncConnection, attachment_id: UUID, start: int, length: int) -> bytes:
    """Return `length` bytes from `start`, which counts from 0."""
    keys = {"attachment": attachment_id, "start": start + 1, "length": length}
    return bytes(await tx.scalar(_PIECE, keys) or b"")


async def lock_file(tx: AsyncConnection, thread_id: UUID, attachment_id: UUID) -> Any:
    """Return a file's message and state, under the lock of its thread."""
    row = (await tx.execute(_LOCK, {"thread": thread_id, "attachment": attachment_id})).one_or_none()
    if row is None:
        raise attachment_not_found()
    return row


async def end_file(tx: AsyncConnection, attachment_id: UUID, failure_reason: str | None) -> None:
    state = "ready" if failure_reason is None else "failed"
    await tx.execute(_END, {"attachment": attachment_id, "state": state, "reason": failure_reason})


async def message_content(tx: AsyncConnection, message_id: UUID) -> message_pb2.MessageContent:
    return message_pb2.MessageContent.FromString(await tx.scalar(_CONTENT, {"message": message_id}))


async def rewrite_message(tx: AsyncConnection, message_id: UUID, content: message_pb2.MessageContent) -> None:
    await tx.execute(_REWRITE, {"message": message_id, "content": content.SerializeToString()})


async def log_event(tx: AsyncConnection, thread_id: UUID, message_id: UUID, kind: str, payload: bytes) -> None:
    await tx.execute(_LOG, {"thread": thread_id, "message": message_id, "type": kind, "payload": payload})


async def draw_attention(tx: AsyncConnection, thread_id: UUID, told: str) -> None:
    await tx.execute(_ATTENTION, {"thread": thread_id, "told": told})


def attachment_not_found() -> NotFoundError:
    return NotFoundError("ATTACHMENT_NOT_FOUND", "the thread of this run has no such attachment")
