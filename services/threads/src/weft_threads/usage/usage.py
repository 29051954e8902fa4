"""What can be asked about usage. Each question is one transaction."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy.ext.asyncio import AsyncConnection
from weft_core.caller import Caller

from weft_threads.store.database import Database
from weft_threads.usage import store
from weft_threads.usage.report import Keys, Place, Range, UsageQuery

Sums: TypeAlias = Callable[[AsyncConnection, UsageQuery, Range, Keys, int], Awaitable[Sequence[Any]]]


@dataclass(frozen=True, slots=True)
class UsageReport:
    """A piece of an answer: rows with `group_keys` and sums, and the range that they are of."""

    range: Range
    rows: Sequence[Any]


class UsageReports:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def model_calls(self, caller: Caller, query: UsageQuery, place: Place | None, limit: int) -> UsageReport:
        return await self._report(store.sum_model_calls, caller, query, place, limit)

    async def tool_calls(self, caller: Caller, query: UsageQuery, place: Place | None, limit: int) -> UsageReport:
        return await self._report(store.count_tool_calls, caller, query, place, limit)

    async def _report(
        self, sums: Sums, caller: Caller, query: UsageQuery, place: Place | None, limit: int
    ) -> UsageReport:
        async def work(tx: AsyncConnection) -> UsageReport:
            within = place.range if place else query.range_at(await store.now_of(tx))
            rows = await sums(tx, query, within, place.after if place else (), limit)
            return UsageReport(within, rows)

        return await self._database.transact(caller.tenant_id, work)
