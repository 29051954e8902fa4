from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weft_core.clock import FakeClock
from weft_core.errors import InvalidArgumentError
from weft_core.page_tokens import PageTokens, digest_of, page_size_of

TENANT, OTHER = UUID(int=1), UUID(int=2)
FILTER = digest_of({"project_id": "p"})
KEY = b"k" * 32


@given(st.binary(max_size=100))
def test_the_cursor_comes_back(cursor: bytes) -> None:
    tokens = PageTokens(KEY)
    assert tokens.decode(TENANT, "m", FILTER, tokens.encode(TENANT, "m", FILTER, cursor)) == cursor


def test_no_token_is_the_first_page() -> None:
    assert PageTokens(KEY).decode(TENANT, "m", FILTER, "") is None


@pytest.mark.parametrize(
    ("tenant", "method", "filters"),
    [(OTHER, "m", FILTER), (TENANT, "n", FILTER), (TENANT, "m", digest_of({"project_id": "q"}))],
    ids=["tenant", "method", "filter"],
)
def test_a_token_of_another_list_is_invalid(tenant: UUID, method: str, filters: bytes) -> None:
    tokens = PageTokens(KEY)
    assert reason_of(tokens, tenant, method, filters, tokens.encode(TENANT, "m", FILTER, b"c")) == "PAGE_TOKEN_INVALID"


@given(st.integers(0, 45), st.sampled_from("AZaz09-_"))
def test_a_changed_token_is_invalid(place: int, character: str) -> None:
    tokens = PageTokens(KEY, FakeClock())
    token = tokens.encode(TENANT, "m", FILTER, b"12345678")
    place %= len(token)
    changed = token[:place] + character + token[place + 1 :]
    if changed != token:
        assert reason_of(tokens, TENANT, "m", FILTER, changed) == "PAGE_TOKEN_INVALID"


@pytest.mark.parametrize("token", ["x", "!!!!", "é", "AAAA", "A" * 5000, "AAAA==", " "])
def test_junk_is_invalid(token: str) -> None:
    assert reason_of(PageTokens(KEY), TENANT, "m", FILTER, token) == "PAGE_TOKEN_INVALID"


def test_a_token_of_another_key_is_invalid() -> None:
    token = PageTokens(b"x" * 32).encode(TENANT, "m", FILTER, b"c")
    assert reason_of(PageTokens(KEY), TENANT, "m", FILTER, token) == "PAGE_TOKEN_INVALID"


def test_a_token_expires_after_a_day() -> None:
    clock = FakeClock()
    tokens = PageTokens(KEY, clock)
    token = tokens.encode(TENANT, "m", FILTER, b"c")
    clock.advance(24 * 3600 - 1)
    assert tokens.decode(TENANT, "m", FILTER, token) == b"c"
    clock.advance(1)
    assert reason_of(tokens, TENANT, "m", FILTER, token) == "PAGE_TOKEN_EXPIRED"


def test_the_page_size_has_a_default_and_a_maximum() -> None:
    assert [page_size_of(asked) for asked in (0, 1, 1000, 1001)] == [50, 1, 1000, 1000]


def reason_of(tokens: PageTokens, tenant: UUID, method: str, filters: bytes, token: str) -> str:
    with pytest.raises(InvalidArgumentError) as caught:
        tokens.decode(tenant, method, filters, token)
    return caught.value.reason
