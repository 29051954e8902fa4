"""The context of a claimed run, when it was too large to come with the claim or has changed since."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection
from weft_core.caller import Caller

from weft_threads.runs.context import transcript_of
from weft_threads.runs.held import require_held, require_run
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
        require_run(caller, run_id)

        async def work(connection: AsyncConnection) -> tuple[ContextMessage, ...]:
            await require_held(connection, run_id, epoch)
            driver: DriverConnection | None = (await connection.get_raw_connection()).driver_connection
            assert driver is not None
            row = await driver.fetchrow("SELECT * FROM run_context($1, $2)", caller.tenant_id, run_id)
            assert row is not None
            return transcript_of(row, run_id).messages

        return await self._database.transact(caller.tenant_id, work)
