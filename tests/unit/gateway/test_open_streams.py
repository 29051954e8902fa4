"""Streams whose key is revoked."""

import asyncio
from collections.abc import AsyncGenerator
from uuid import UUID

from weft_core.caller import Caller, CallerKind
from weft_core.clock import FakeClock
from weft_core.errors import UnauthenticatedError
from weft_gateway.edge.api_keys import ApiKeys, Credential, api_key_invalid, digest_of_key
from weft_gateway.edge.open_streams import OpenStream, OpenStreams
from weft_grpckit.program import end_tasks

OPERATOR = Caller(CallerKind.CALLER, UUID(int=0), "operator", frozenset())
REVOKED = digest_of_key("revoked")
OTHERS = [digest_of_key(str(number)) for number in range(200)]


class SlowOwner:
    """Answers at once for the revoked key, and for no other key at all."""

    def __init__(self) -> None:
        self.asking = self.most_at_once = 0

    async def resolve(self, digest: bytes) -> Credential:
        if digest == REVOKED:
            raise api_key_invalid()
        self.asking += 1
        self.most_at_once = max(self.most_at_once, self.asking)
        try:
            await asyncio.sleep(0.02)
        finally:
            self.asking -= 1
        return Credential(OPERATOR)


async def watching(streams: OpenStreams, digest: bytes) -> str:
    async def silence() -> AsyncGenerator[bytes, None]:
        await asyncio.Event().wait()
        yield b""

    stream = OpenStream("/path", digest)
    streams.add(stream)
    try:
        async for _ in stream.guard(silence()):
            pass
    except UnauthenticatedError as error:
        return error.reason
    return ""


async def test_a_revoked_key_is_found_soon_among_many_that_are_asked_for_slowly() -> None:
    owner, streams = SlowOwner(), OpenStreams()
    keys = ApiKeys(owner.resolve, OPERATOR, "operator's key", now=FakeClock().monotonic)
    watches = [asyncio.create_task(watching(streams, digest)) for digest in [*OTHERS, REVOKED]]
    await asyncio.sleep(0)
    scan = asyncio.create_task(streams.end_revoked(keys, 0.01))
    try:
        async with asyncio.timeout(2):  # one by one it would take four seconds, if it came last
            assert await watches[-1] == "API_KEY_INVALID"
            while owner.asking:  # noqa: ASYNC110 (the scan tells nobody)
                await asyncio.sleep(0.01)
        assert 1 < owner.most_at_once <= 20
        assert not any(watch.done() for watch in watches[:-1])
    finally:
        await end_tasks([scan, *watches])
