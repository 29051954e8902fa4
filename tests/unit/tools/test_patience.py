"""What is repeated, and for how long."""

from collections.abc import Iterator

import pytest
from weft_core.errors import (
    FailedPreconditionError,
    InternalError,
    ResourceExhaustedError,
    UnavailableError,
    WeftError,
    server_stopping,
)
from weft_tools.domain import patience
from weft_tools.domain.patience import MAX_FAULTS, any_trouble, is_away, patiently

OVERLOADED = ResourceExhaustedError("OVERLOADED", "too many calls")
FAULT = InternalError("INTERNAL", "internal error")
AWAY = UnavailableError("DATABASE_UNAVAILABLE", "away")


class Peer:
    """Fails with these errors, one after the other, and then answers."""

    def __init__(self, *errors: WeftError) -> None:
        self.errors: Iterator[WeftError] = iter(errors)
        self.asked = 0

    async def ask(self) -> str:
        self.asked += 1
        for error in self.errors:
            raise error
        return "answer"


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "LONGEST_PAUSE_SECONDS", 0.001)


async def test_a_peer_that_is_away_is_asked_again() -> None:
    assert await patiently(Peer(AWAY, server_stopping(), AWAY).ask, 5) == "answer"


async def test_patience_ends_with_the_error_as_it_was() -> None:
    with pytest.raises(UnavailableError) as caught:
        await patiently(Peer(*[AWAY] * 10_000).ask, 0.05)
    assert caught.value is AWAY


@pytest.mark.parametrize("trouble", [OVERLOADED, FAULT])
async def test_only_what_must_not_be_lost_is_repeated_after_other_trouble(trouble: WeftError) -> None:
    peer = Peer(trouble)
    with pytest.raises(type(trouble)):
        await patiently(peer.ask, 5, is_away)
    assert peer.asked == 1
    assert await patiently(Peer(trouble, AWAY, trouble).ask, 5, any_trouble()) == "answer"


async def test_a_peer_that_fails_for_ever_is_given_up_though_it_is_there() -> None:
    peer = Peer(*[FAULT] * 1000)
    with pytest.raises(InternalError):
        await patiently(peer.ask, 60, any_trouble())
    assert peer.asked == MAX_FAULTS


async def test_a_refusal_is_final() -> None:
    peer = Peer(FailedPreconditionError("EPOCH_STALE", "stop"))
    with pytest.raises(FailedPreconditionError):
        await patiently(peer.ask, 60, any_trouble())
    assert peer.asked == 1
