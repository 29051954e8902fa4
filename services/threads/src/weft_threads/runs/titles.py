"""Titles that runners make of threads, after their first run."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from weft.runs.v1 import thread_event_pb2
from weft_core.caller import Caller

from weft_threads.runs.end import run_not_found
from weft_threads.runs.held import require_run
from weft_threads.runs.states import TERMINAL, RunState
from weft_threads.store.database import Database

_LOCK = sa.text("""
  SELECT t.thread_id, t.is_title_edited, r.state FROM runs r
  JOIN threads t ON t.tenant_id = r.tenant_id AND t.thread_id = r.thread_id
  WHERE r.tenant_id = current_tenant() AND r.run_id = :run AND t.delete_time IS NULL FOR NO KEY UPDATE OF t
""")
# The primary key takes it once.
_COUNT = sa.text("""
  INSERT INTO run_steps (tenant_id, run_id, step, attempt, state, epoch, message_id, input_tokens, output_tokens,
      cached_input_tokens, model, cost_micros, end_time)
    SELECT tenant_id, run_id, 0, 1, 'succeeded', epoch, :call, :input_tokens, :output_tokens, :cached_input_tokens,
        nullif(:model, ''), :cost_micros, weft_now()
      FROM runs WHERE tenant_id = current_tenant() AND run_id = :run
  ON CONFLICT DO NOTHING RETURNING step
""")
_ENTITLE = sa.text("""
  UPDATE threads SET title = :title, update_time = weft_now()
  WHERE tenant_id = current_tenant() AND thread_id = :thread
""")
_LOG = sa.text("SELECT write_thread_event(current_tenant(), :thread, 'title.updated', NULL, NULL, NULL, :payload)")


@dataclass(frozen=True, slots=True)
class OfferedTitle:
    """A title, and what the model call that made it used; None where the provider did not say."""

    title: str
    model: str
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    cost_micros: int | None = None


class Titles:
    """`announce(thread)` tells watchers that a thread's log has grown."""

    def __init__(self, database: Database, new_id: Callable[[], UUID], announce: Callable[[UUID], None]) -> None:
        self._database, self._new_id, self._announce = database, new_id, announce

    async def take(self, caller: Caller, run_id: UUID, offered: OfferedTitle) -> bool:
        """Give the run's thread a title, once, unless somebody has edited it. Returns whether it did.

        Raises:
            UnauthenticatedError: TOKEN_INVALID: the caller is no run.
            NotFoundError: RUN_NOT_FOUND.
        """
        require_run(caller, run_id)

        async def work(tx: AsyncConnection) -> UUID | None:
            thread = (await tx.execute(_LOCK, {"run": run_id})).one_or_none()
            if thread is None:
                raise run_not_found()
            # The call was made and paid for, also when the run was superseded in the moment of its success.
            is_counted = thread.state in TERMINAL and await self._count(tx, run_id, offered)
            if not is_counted or thread.state != RunState.SUCCEEDED or thread.is_title_edited:
                return None
            thread_id: UUID = thread.thread_id
            await _entitle(tx, thread_id, offered.title)
            return thread_id

        thread_id = await self._database.transact(caller.tenant_id, work)
        if thread_id is not None:
            self._announce(thread_id)
        return thread_id is not None

    async def _count(self, tx: AsyncConnection, run_id: UUID, offered: OfferedTitle) -> bool:
        """Write down the model call. False when it was before."""
        values = {
            "run": run_id,
            "call": self._new_id(),
            "input_tokens": offered.input_tokens,
            "output_tokens": offered.output_tokens,
            "cached_input_tokens": offered.cached_input_tokens,
            "model": offered.model,
            "cost_micros": offered.cost_micros,
        }
        return (await tx.execute(_COUNT, values)).first() is not None


async def _entitle(tx: AsyncConnection, thread_id: UUID, title: str) -> None:
    await tx.execute(_ENTITLE, {"thread": thread_id, "title": title})
    told = thread_event_pb2.ThreadTitleUpdated(title=title)
    await tx.execute(_LOG, {"thread": thread_id, "payload": told.SerializeToString()})
