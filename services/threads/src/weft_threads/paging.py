"""Pages of a list (AIP-158): from a cursor on, as many as were asked for and as fit into one answer."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

from weft_core.page_tokens import PageTokens, digest_of, page_size_of

FIRST_BATCH = 50
MAX_PAGE_BYTES = 8 << 20

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    items: Sequence[T]
    next_page_token: str


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page of which list: `method` and `filters` are what its tokens are bound to."""

    tenant_id: UUID
    method: str
    filters: Mapping[str, object]
    page_size: int
    page_token: str


class Pager:
    def __init__(self, tokens: PageTokens) -> None:
        self._tokens = tokens

    async def page(
        self,
        request: PageRequest,
        fetch: Callable[[bytes | None, int], Awaitable[Sequence[T]]],
        cursor_of: Callable[[T], bytes],
        bytes_of: Callable[[T], int] = lambda _item: 0,
    ) -> Page[T]:
        """Return a page. `fetch(cursor, limit)` returns up to `limit` items behind the cursor.

        Rows can be large, so they are fetched in batches that suit the size of those seen.
        Raises: InvalidArgumentError: the token is forged, expired, or of another list.
        """
        digest = digest_of(request.filters)
        cursor = self._tokens.decode(request.tenant_id, request.method, digest, request.page_token)
        wanted, weight, limit = page_size_of(request.page_size) + 1, 0, FIRST_BATCH
        items: list[T] = []
        while len(items) < wanted and (weight <= MAX_PAGE_BYTES):
            asked = min(limit, wanted - len(items))
            batch = await fetch(cursor, asked)
            items += batch
            if len(batch) < asked:
                break
            cursor = cursor_of(items[-1])
            weight = sum(map(bytes_of, items))
            limit = max(FIRST_BATCH, (MAX_PAGE_BYTES - weight) * len(items) // max(weight, 1))
        kept = items[: min(wanted - 1, _fitting(items, bytes_of))]
        if len(kept) == len(items):
            return Page(kept, "")
        return Page(kept, self._tokens.encode(request.tenant_id, request.method, digest, cursor_of(kept[-1])))


def _fitting(items: Sequence[T], bytes_of: Callable[[T], int]) -> int:
    """Return how many items fit into a page: at least one."""
    weight = 0
    for count, item in enumerate(items):
        weight += bytes_of(item)
        if weight > MAX_PAGE_BYTES and count:
            return count
    return len(items)


def uuid_of(cursor: bytes | None) -> UUID | None:
    return None if cursor is None else UUID(bytes=cursor)


def number_of(cursor: bytes | None) -> int | None:
    return None if cursor is None else int.from_bytes(cursor, "big")
