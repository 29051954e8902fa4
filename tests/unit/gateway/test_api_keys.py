import asyncio
import time
from uuid import UUID

import pytest
from weft_core.caller import Caller, CallerKind
from weft_core.clock import FakeClock
from weft_core.errors import UnauthenticatedError, UnavailableError
from weft_gateway.edge import api_keys
from weft_gateway.edge.api_keys import ApiKeys, Credential, api_key_invalid, digest_of_key

OPERATOR = Caller(CallerKind.CALLER, UUID(int=0), "operator", frozenset({"tenants.admin"}))
SOMEBODY = Caller(CallerKind.CALLER, UUID(int=1), "somebody", frozenset({"runs.read"}))
DIGEST = digest_of_key("weft_key")


class Owner:
    """Who knows the keys, in the place of threads."""

    def __init__(self) -> None:
        self.credential: Credential | None = Credential(SOMEBODY)
        self.failure: Exception | None = None
        self.asked = 0
        self.clock = FakeClock()
        self.keys = ApiKeys(self.resolve, OPERATOR, "operator's key", now=self.clock.monotonic)

    async def resolve(self, digest: bytes) -> Credential:
        self.asked += 1
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        if self.credential is None:
            raise api_key_invalid()
        return self.credential


async def test_a_key_is_remembered_for_five_seconds_and_a_wrong_one_for_one() -> None:
    owner = Owner()
    for _ in range(3):
        assert await owner.keys.caller(DIGEST) == SOMEBODY
    owner.clock.advance(4.9)
    await owner.keys.caller(DIGEST)
    assert owner.asked == 1
    owner.credential = None
    owner.clock.advance(0.2)
    for _ in range(3):
        with pytest.raises(UnauthenticatedError):
            await owner.keys.caller(DIGEST)
    assert owner.asked == 2
    owner.credential = Credential(SOMEBODY)
    owner.clock.advance(1.1)
    assert await owner.keys.caller(DIGEST) == SOMEBODY


async def test_many_at_once_ask_once_also_when_the_first_of_them_leaves() -> None:
    owner = Owner()
    calls = [asyncio.create_task(owner.keys.caller(DIGEST)) for _ in range(50)]
    await asyncio.sleep(0)
    calls[0].cancel()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert results[1:] == [SOMEBODY] * 49
    assert owner.asked == 1


async def test_an_unreachable_owner_is_not_a_wrong_key() -> None:
    owner = Owner()
    owner.failure = UnavailableError("SERVICE_UNAVAILABLE", "gone")
    with pytest.raises(UnavailableError):
        await owner.keys.caller(DIGEST)
    assert not await owner.keys.is_revoked(DIGEST)
    owner.failure = RuntimeError("odd")
    assert not await owner.keys.is_revoked(DIGEST)
    owner.failure = None
    assert await owner.keys.caller(DIGEST) == SOMEBODY
    owner.credential = None
    owner.clock.advance(6)
    assert await owner.keys.is_revoked(DIGEST)


async def test_an_expired_key_opens_nothing_though_it_is_remembered() -> None:
    owner = Owner()
    owner.credential = Credential(SOMEBODY, time.time() + 0.05)
    assert await owner.keys.caller(DIGEST) == SOMEBODY
    await asyncio.sleep(0.06)
    with pytest.raises(UnauthenticatedError):
        await owner.keys.caller(DIGEST)


async def test_wrong_keys_do_not_push_out_the_good_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_keys, "_CACHE_SIZE", 10)
    owner = Owner()
    for number in range(8):
        await owner.keys.caller(digest_of_key(f"good {number}"))
    owner.credential = None
    for number in range(100):
        with pytest.raises(UnauthenticatedError):
            await owner.keys.caller(digest_of_key(f"random {number}"))
    asked = owner.asked
    for number in range(8):
        assert await owner.keys.caller(digest_of_key(f"good {number}")) == SOMEBODY
    assert owner.asked == asked


async def test_of_more_keys_than_fit_only_the_oldest_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_keys, "_CACHE_SIZE", 10)
    owner = Owner()
    for number in [*range(11), *range(1, 11)]:
        await owner.keys.caller(digest_of_key(f"good {number}"))
    assert owner.asked == 11
    await owner.keys.caller(digest_of_key("good 0"))
    assert owner.asked == 12


async def test_the_operators_key_is_asked_of_nobody() -> None:
    owner = Owner()
    assert await owner.keys.caller(digest_of_key("operator's key")) == OPERATOR
    assert owner.asked == 0
