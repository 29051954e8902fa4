"""Ending a run over its runner's head: past the grace of a cancel, past its deadline, or with its thread.

What watchers saw of the message that was being written is kept: its deltas are folded into an incomplete message. The
epoch rises, so that the runner can write nothing more.
"""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from weft.runs.v1 import event_pb2
from weft.threads.v1 import message_pb2

from weft_threads.events.frames import LoggedEvent, logged_events

FENCE = sa.text("""
  UPDATE runs SET epoch = epoch + 1, owner = NULL WHERE tenant_id = :tenant AND run_id = :run AND state = 'running'
  RETURNING run_id
""")
OPEN_STEP = sa.text("""
  SELECT step, message_id FROM run_steps WHERE tenant_id = :tenant AND run_id = :run AND state = 'started'
""")
DELTAS = sa.text("""
  SELECT payload FROM run_events WHERE tenant_id = :tenant AND run_id = :run AND type = 'message.delta'
    AND seq > (SELECT coalesce(max(seq), 0) FROM run_events
      WHERE tenant_id = :tenant AND run_id = :run AND type = 'step.started')
  ORDER BY seq
""")
ADD_MESSAGE = sa.text("""
  SELECT add_messages(r, ARRAY[(:message, :step, 'assistant', :content, true, NULL, NULL)::new_message], false)
  FROM runs r WHERE tenant_id = :tenant AND run_id = :run
""")
END = sa.text("SELECT e.* FROM end_run(:tenant, :run, :asked, :payload) e")


async def force_end(
    connection: AsyncConnection, tenant_id: UUID, run_id: UUID, asked: str, payload: bytes
) -> list[LoggedEvent]:
    """End a run whose thread row the transaction has locked; return what was written."""
    keys = {"tenant": tenant_id, "run": run_id}
    events: list[LoggedEvent] = []
    if (await connection.execute(FENCE, keys)).first() is not None:
        events += await _keep_partial_message(connection, keys)
    row = (await connection.execute(END, {**keys, "asked": asked, "payload": payload})).one()
    if row.seq is not None:
        events += logged_events([tuple(row)])
    return events


async def _keep_partial_message(connection: AsyncConnection, keys: dict[str, UUID]) -> list[LoggedEvent]:
    step = (await connection.execute(OPEN_STEP, keys)).one_or_none()
    if step is None:
        return []
    payloads = (await connection.execute(DELTAS, keys)).scalars().all()
    text = folded_text(payloads)
    if not text:
        return []
    content = message_pb2.MessageContent(parts=[message_pb2.Part(text=text)]).SerializeToString()
    arguments: dict[str, Any] = {**keys, "message": step.message_id, "step": step.step, "content": content}
    return logged_events((await connection.execute(ADD_MESSAGE, arguments)).scalar_one())


def folded_text(payloads: Iterable[bytes]) -> str:
    """Return the text that the deltas of one message make."""
    deltas = (event_pb2.MessageDelta.FromString(payload) for payload in payloads)
    return "".join(delta.text for delta in deltas)
