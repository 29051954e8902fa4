"""Reading runs and waiting for their end."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection
from weft_core.errors import server_stopping
from weft_core.ids import format_id

from weft_threads.paging import Page, Pager, PageRequest, uuid_of
from weft_threads.runs.end import run_not_found
from weft_threads.runs.run_store import find_run, list_runs
from weft_threads.store.database import Database

POLL_SECONDS = 1.0  # the net under the signal


class EndSignals(Protocol):
    """Tells that a run ended, as soon as the live wire does."""

    def watch(self, run_id: str) -> AbstractAsyncContextManager[asyncio.Event]: ...


class RunReader:
    def __init__(self, database: Database, pager: Pager, ends: EndSignals, stopping: asyncio.Event) -> None:
        self._database, self._pager, self._ends, self._stopping = database, pager, ends, stopping

    async def get(self, tenant_id: UUID, run_id: UUID) -> Any:
        """Return the row of a run.

        Raises:
            NotFoundError: RUN_NOT_FOUND.
        """
        row = await self._database.transact(tenant_id, lambda connection: find_run(connection, run_id))
        if row is None:
            raise run_not_found()
        return row

    async def list(
        self, request: PageRequest, thread_id: UUID | None, agent_id: UUID | None, states: Sequence[str]
    ) -> Page[Any]:
        async def fetch(cursor: bytes | None, limit: int) -> Sequence[Any]:
            async def work(connection: AsyncConnection) -> Sequence[Any]:
                return await list_runs(
                    connection,
                    thread_id=thread_id,
                    agent_id=agent_id,
                    states=states,
                    before=uuid_of(cursor),
                    limit=limit,
                )

            return await self._database.transact(request.tenant_id, work)

        return await self._pager.page(request, fetch, lambda row: bytes(row.run_id.bytes))

    async def wait(self, tenant_id: UUID, run_id: UUID, seconds: float) -> Any:
        """Return the row of a run once it has ended, or as it is after `seconds`.

        Raises:
            NotFoundError: RUN_NOT_FOUND.
            UnavailableError: SERVER_STOPPING; whoever waits must not hold up the stop.
        """
        row = await self.get(tenant_id, run_id)
        if row.end_time is not None or seconds <= 0:
            return row
        until = asyncio.get_running_loop().time() + seconds
        async with self._ends.watch(format_id("run", run_id)) as ended:
            while True:
                row = await self.get(tenant_id, run_id)  # again: it may have ended before the watch began
                left = until - asyncio.get_running_loop().time()
                if row.end_time is not None or left <= 0:
                    return row
                if self._stopping.is_set():
                    raise server_stopping()
                await _set_within(ended, min(left, POLL_SECONDS))
                ended.clear()


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
