"""Whether a run is still held by who calls with its token."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from weft_core.caller import Caller
from weft_core.errors import FailedPreconditionError, UnauthenticatedError

from weft_threads.runs.end import run_not_found

_HELD = sa.text("""
  SELECT thread_id, epoch FROM runs WHERE tenant_id = current_tenant() AND run_id = :run AND state = 'running'
""")


def require_run(caller: Caller, run_id: UUID) -> None:
    """Raises: UnauthenticatedError: TOKEN_INVALID: the caller is no run. NotFoundError: it is another run."""
    if caller.run_id is None:
        raise UnauthenticatedError("TOKEN_INVALID", "this is called with the token of its run only")
    if caller.run_id != run_id:
        raise run_not_found()


async def require_held(tx: AsyncConnection, run_id: UUID, epoch: int) -> UUID:
    """Return the thread of a run that goes on under `epoch`.

    Raises:
        NotFoundError: RUN_NOT_FOUND: no run of the tenant, or it does not run any more.
        FailedPreconditionError: EPOCH_STALE.
    """
    row = (await tx.execute(_HELD, {"run": run_id})).one_or_none()
    if row is None:
        raise run_not_found()
    if row.epoch != epoch:
        raise FailedPreconditionError("EPOCH_STALE", "the run was taken over; drop it")
    thread_id: UUID = row.thread_id
    return thread_id
