"""Reads of the log that many watchers share."""

import asyncio
from typing import Any
from uuid import UUID

from weft.runs.v1 import run_log_service_pb2 as pb
from weft_core.caller import Caller, CallerKind
from weft_gateway.live.log import EventLog, Page
from weft_grpckit.tokens import TokenSigner

SOMEBODY = Caller(CallerKind.CALLER, UUID(int=1), "somebody", frozenset({"runs.read"}))
SOMEBODY_ELSE = Caller(CallerKind.CALLER, UUID(int=2), "somebody else", frozenset({"runs.read"}))


class SlowLog:
    """A channel to a log whose reads show what it held when they began, and end when `opened`."""

    def __init__(self) -> None:
        self.head = self.reads = 0
        self.opened = asyncio.Event()

    def unary_unary(self, path: str, *_: Any, **__: Any) -> Any:
        async def call(request: Any, **terms: Any) -> Any:
            self.reads += 1
            page = pb.ReadEventsResponse(events=[b""] * self.head, last_seq=self.head)
            await self.opened.wait()
            return page

        return call


def reading(log: EventLog, caller: Caller = SOMEBODY) -> asyncio.Task[Page]:
    return asyncio.create_task(log.read(caller, "run_1", 0, serve_deleted=False, patience=0))


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_who_comes_while_a_read_is_under_way_sees_what_was_written_since() -> None:
    slow: Any = SlowLog()
    log = EventLog(slow, TokenSigner(b"k" * 32))
    early = reading(log)
    await turns()
    slow.head = 1
    late = [reading(log) for _ in range(50)]
    await turns()
    slow.opened.set()
    async with asyncio.timeout(2):
        assert (await early).last_seq == 0
        assert {(await each).last_seq for each in late} == {1}
    assert slow.reads == 2


async def test_those_who_come_together_read_once_and_never_with_another_tenant() -> None:
    slow: Any = SlowLog()
    log = EventLog(slow, TokenSigner(b"k" * 32))
    together = [reading(log) for _ in range(50)]
    other = reading(log, SOMEBODY_ELSE)
    await turns()
    together[0].cancel()
    slow.opened.set()
    async with asyncio.timeout(2):
        results = await asyncio.gather(*together[1:], other)
    assert len(results) == 50
    assert slow.reads == 2
    assert log._reads.is_idle
