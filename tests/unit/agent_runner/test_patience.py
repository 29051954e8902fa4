import asyncio

import pytest
from weft_agent_runner.domain.ports import PeerFaultError, PeerRefusedError, PeerUnavailableError
from weft_agent_runner.workshop import patiently


class Peer:
    def __init__(self, *errors: Exception) -> None:
        self.errors, self.calls = list(errors), 0

    async def call(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


def never() -> float:
    return 0.0


async def test_answer_comes_when_the_peer_is_back_in_time() -> None:
    peer = Peer(PeerUnavailableError(), PeerFaultError())
    assert await patiently(peer.call, 5.0, never) == "answer"
    assert peer.calls == 3


async def test_it_gives_up_when_the_peer_stays_away() -> None:
    peer = Peer(*(PeerUnavailableError() for _ in range(100)))
    with pytest.raises(PeerUnavailableError):
        await patiently(peer.call, 0.2, never)
    assert 1 < peer.calls < 10


async def test_it_gives_up_at_once_when_the_peer_refuses() -> None:
    peer = Peer(PeerRefusedError())
    with pytest.raises(PeerRefusedError):
        await patiently(peer.call, 60.0, never)
    assert peer.calls == 1


async def test_patience_begins_anew_when_the_peer_had_been_there_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weft_agent_runner.workshop._GOING_ON_SECONDS", 0.05)
    peer = Peer(*(PeerUnavailableError() for _ in range(3)))

    async def long_call() -> str:
        await asyncio.sleep(0.4)  # longer than the patience
        return await peer.call()

    assert await patiently(long_call, 0.3, never) == "answer"
