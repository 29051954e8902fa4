"""weft.usage.v1.UsageService."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from typing import Any, TypeAlias

from weft.usage.v1 import usage_service_pb2 as pb
from weft.usage.v1 import usage_service_pb2_grpc as grpc_pb
from weft_core.caller import Caller
from weft_grpckit.context import Context, caller_of

from weft_threads.paging import Page, Pager, PageRequest
from weft_threads.times import timestamp
from weft_threads.usage import convert
from weft_threads.usage.report import Place, Range, UsageQuery
from weft_threads.usage.usage import UsageReport, UsageReports

Fetch: TypeAlias = Callable[[Caller, UsageQuery, Place | None, int], Awaitable[UsageReport]]


class UsageServicer(grpc_pb.UsageServiceServicer):
    def __init__(self, reports: UsageReports, pager: Pager) -> None:
        self._reports, self._pager = reports, pager

    async def QueryUsage(self, request: pb.QueryUsageRequest, context: Context) -> pb.QueryUsageResponse:
        query = convert.usage_query_from(request)
        page, within = await self._page("QueryUsage", self._reports.model_calls, caller_of(context), query, request)
        return pb.QueryUsageResponse(
            rows=[convert.usage_row(query, row) for row in page.items],
            next_page_token=page.next_page_token,
            start_time=timestamp(within.start),
            end_time=timestamp(within.end),
        )

    async def QueryToolUsage(self, request: pb.QueryToolUsageRequest, context: Context) -> pb.QueryToolUsageResponse:
        query = convert.tool_usage_query_from(request)
        page, within = await self._page("QueryToolUsage", self._reports.tool_calls, caller_of(context), query, request)
        return pb.QueryToolUsageResponse(
            rows=[convert.tool_usage_row(query, row) for row in page.items],
            next_page_token=page.next_page_token,
            start_time=timestamp(within.start),
            end_time=timestamp(within.end),
        )

    async def _page(
        self,
        method: str,
        fetch: Fetch,
        caller: Caller,
        query: UsageQuery,
        request: pb.QueryUsageRequest | pb.QueryToolUsageRequest,
    ) -> tuple[Page[Any], Range]:
        """Return a page, and the range of time that all its pages are of."""
        ranges: list[Range] = []

        async def rows_behind(cursor: bytes | None, limit: int) -> Sequence[Any]:
            report = await fetch(caller, query, None if cursor is None else Place.unpacked(cursor), limit)
            ranges.append(report.range)
            return report.rows

        page = await self._pager.page(
            PageRequest(caller.tenant_id, method, asdict(query), request.page_size, request.page_token),
            rows_behind,
            lambda row: Place(ranges[0], tuple(row.group_keys)).packed(),
        )
        return page, ranges[0]
