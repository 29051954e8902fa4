"""Pages of a list."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

import pytest
from weft_core.errors import InvalidArgumentError
from weft_core.page_tokens import PageTokens
from weft_threads.paging import MAX_PAGE_BYTES, Pager, PageRequest

TENANT = UUID(int=1)


@dataclass
class Numbers:
    """A list of numbers, each of which weighs `weight` bytes."""

    count: int
    weight: int = 0
    fetches: list[int] = field(default_factory=list)

    async def fetch(self, cursor: bytes | None, limit: int) -> Sequence[int]:
        self.fetches.append(limit)
        first = 0 if cursor is None else int.from_bytes(cursor, "big") + 1
        return range(first, min(first + limit, self.count))


async def page_of(numbers: Numbers, size: int, token: str = "", method: str = "List") -> tuple[Sequence[int], str]:
    pager = Pager(PageTokens(b"k" * 32))
    request = PageRequest(TENANT, method, {"a": 1}, size, token)
    page = await pager.page(request, numbers.fetch, lambda n: n.to_bytes(8, "big"), lambda _: numbers.weight)
    return list(page.items), page.next_page_token


@pytest.mark.parametrize(("count", "size"), [(0, 5), (1, 5), (5, 5), (6, 5), (173, 60), (1000, 1000), (1001, 1000)])
async def test_pages_together_are_the_list(count: int, size: int) -> None:
    numbers, seen, token = Numbers(count), list[int](), ""
    for _ in range(count // size + 1):
        items, token = await page_of(numbers, size, token)
        assert len(items) <= size
        seen += items
        if not token:
            break
    assert (seen, token) == (list(range(count)), "")


async def test_page_ends_when_it_is_heavy_and_the_next_goes_on() -> None:
    numbers = Numbers(20, weight=MAX_PAGE_BYTES // 4)
    first, token = await page_of(numbers, 1000)
    second, _ = await page_of(numbers, 1000, token)
    assert (first, second) == ([0, 1, 2, 3], [4, 5, 6, 7])


async def test_page_holds_at_least_one_item_however_heavy() -> None:
    numbers = Numbers(3, weight=2 * MAX_PAGE_BYTES)
    items, token = await page_of(numbers, 10)
    assert (items, bool(token)) == ([0], True)


async def test_light_items_are_fetched_in_two_batches() -> None:
    numbers = Numbers(5000, weight=10)
    await page_of(numbers, 1000)
    assert numbers.fetches == [50, 951]


async def test_token_of_another_method_is_refused() -> None:
    _, token = await page_of(Numbers(10), 3)
    with pytest.raises(InvalidArgumentError, match="PAGE_TOKEN_INVALID"):
        await page_of(Numbers(10), 3, token, method="Other")
