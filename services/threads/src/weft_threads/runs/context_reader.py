"""The context of a claimed run, when it was too large to come with the claim."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection
from weft_core.caller import Caller
from weft_core.errors import FailedPreconditionError, UnauthenticatedError

from weft_threads.runs.context import transcript_of
from weft_threads.runs.end import run_not_found
from weft_threads.runs.transcript import ContextMessage
from weft_threads.store.database import Database, DriverConnection


class ContextReader:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, caller: Caller, run_id: UUID, epoch: int) -> tuple[ContextMessage, ...]:
        """Return the context of the caller's run, if it is still held under `epoch`.

        Raises:
            UnauthenticatedError: TOKEN_INVALID: the caller is no run.
            NotFoundError: RUN_NOT_FOUND, also when the caller is another run.
            FailedPreconditionError: EPOCH_STALE.
        """
        if caller.run_id is None:
            raise UnauthenticatedError("TOKEN_INVALID", "a context is read with the token of its run only")
        if caller.run_id != run_id:
            raise run_not_found()
        tenant_id = caller.tenant_id

        async def work(connection: AsyncConnection) -> tuple[ContextMessage, ...]:
            driver: DriverConnection | None = (await connection.get_raw_connection()).driver_connection
            assert driver is not None
            current = await driver.fetchval(
                "SELECT epoch FROM runs WHERE tenant_id = $1 AND run_id = $2 AND state = 'running'", tenant_id, run_id
            )
            if current is None:
                raise run_not_found()
            if current != epoch:
                raise FailedPreconditionError("EPOCH_STALE", "the run was taken over; drop it")
            row = await driver.fetchrow("SELECT * FROM run_context($1, $2)", tenant_id, run_id)
            assert row is not None
            return transcript_of(row, run_id).messages

        return await self._database.transact(tenant_id, work)
