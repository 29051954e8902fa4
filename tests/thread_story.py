"""A thread with everything that can happen in it, and tabs that watch it and come back at random places."""

import asyncio
import logging
import random
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import grpc
from google.protobuf.field_mask_pb2 import FieldMask
from public_api import Api, type_of
from weft.gateway.v1 import agent_gateway_service_pb2 as gateway_pb
from weft.runs.v1 import run_pb2
from weft.threads.v1 import message_pb2
from weft.threads.v1 import thread_service_pb2 as pb

log = logging.getLogger(__name__)
RESUMABLE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
LAST_TITLE = "the last title"


@dataclass
class Tab:
    """Watches a thread. Until it is calm it lets go by chance, and comes back at one of the last places it was told."""

    api: Api
    thread_id: str
    rng: random.Random
    drop_chance: float = 0.1
    items: list[gateway_pb.ThreadStreamItem] = field(default_factory=list)
    places: list[tuple[gateway_pb.ThreadCursor, int]] = field(default_factory=list)
    is_calm: bool = False
    reconnects: int = 0
    has_last_title: asyncio.Event = field(default_factory=asyncio.Event)
    has_run_event: asyncio.Event = field(default_factory=asyncio.Event)

    async def watch(self) -> None:
        """Watch until the thread is deleted."""
        while not await self._connected():
            self.reconnects += 1
            self._go_back()

    async def _connected(self) -> bool:
        """Watch until the stream ends as it should, which is told, or breaks."""
        after = self.places[-1][0] if self.places else None
        request = gateway_pb.ThreadEventsRequest(thread_id=self.thread_id, after=after)
        call: Any = self.api.gateway.ThreadEvents(request, metadata=self.api.metadata)
        try:
            async with aclosing(_responses(call)) as responses:
                async for response in responses:
                    self._take(response)
                    if not self.is_calm and self.rng.random() < self.drop_chance:
                        return False
            return True
        except grpc.aio.AioRpcError as error:
            if error.code() not in RESUMABLE:
                raise
            await asyncio.sleep(0.05)
            return False
        finally:
            call.cancel()

    def _take(self, response: gateway_pb.ThreadEventsResponse) -> None:
        self.items += response.items
        self.places.append((response.cursor, len(self.items)))
        if any(item.thread_event.title_updated.title == LAST_TITLE for item in response.items):
            self.has_last_title.set()
        if any(item.HasField("run_event") for item in response.items):
            self.has_run_event.set()

    def _go_back(self) -> None:
        if self.is_calm or not self.places:
            return
        back = self.rng.randrange(min(6, len(self.places)))
        del self.places[len(self.places) - back :]
        del self.items[self.places[-1][1] if self.places else 0 :]


async def _responses(call: Any) -> Any:
    async for response in call:
        yield response


def a_seed() -> random.Random:
    """Return dice whose seed is shown with a failure."""
    seed = random.SystemRandom().randrange(1 << 32)
    log.warning("seed %d", seed)
    return random.Random(seed)


def thread_events(tab: Tab) -> list[Any]:
    return [item.thread_event for item in tab.items if item.HasField("thread_event")]


@dataclass
class Story:
    """What happens in the thread; each call is repeated until it is answered."""

    api: Api
    thread_id: str
    slow: str
    quick: str
    runs: list[str] = field(default_factory=list)

    @classmethod
    async def begin(cls, api: Api) -> "Story":
        slow = await api.make_agent("scripted:tps=40,count=60,ttft=0.1")
        quick = await api.make_agent("scripted:tag=tabs", tools=["count_effect"])
        made = await api.threads.CreateThread(pb.CreateThreadRequest(agent_id=slow), metadata=api.metadata, timeout=10)
        return cls(api, made.thread.thread_id, slow, quick)

    async def say(self, text: str, **fields: Any) -> str:
        terms = {"thread_id": self.thread_id, "request_id": str(uuid4()), **fields}
        made = await persistently(lambda: self.api.initiate(text, **terms))
        self.runs.append(made.run_id)
        return str(made.run_id)

    async def cancel(self, run_id: str) -> None:
        await persistently(lambda: self.api.cancel(run_id))

    async def update(self, path: str, **fields: Any) -> None:
        request = pb.UpdateThreadRequest(thread_id=self.thread_id, update_mask=FieldMask(paths=[path]), **fields)
        await persistently(lambda: self.api.threads.UpdateThread(request, metadata=self.api.metadata, timeout=10))

    async def remark(self, text: str) -> None:
        request = pb.CreateMessageRequest(
            thread_id=self.thread_id, role=message_pb2.ROLE_USER, parts=[message_pb2.Part(text=text)]
        )
        await persistently(lambda: self.api.threads.CreateMessage(request, metadata=self.api.metadata, timeout=10))

    async def speaks(self, run_id: str) -> None:
        await self.api.events(run_id, stop_when=lambda event: type_of(event) == "message_delta")

    async def ended(self, run_id: str) -> run_pb2.Run:
        run: run_pb2.Run = await persistently(lambda: self.api.wait(run_id))
        return run

    async def delete(self) -> None:
        request = pb.DeleteThreadRequest(thread_id=self.thread_id)
        await persistently(lambda: self.api.threads.DeleteThread(request, metadata=self.api.metadata, timeout=10))

    async def five_runs_and_more(self, meanwhile: Any) -> None:
        """Runs that succeed, call tools, are cancelled in line, are taken over; `meanwhile` is awaited now and then."""
        await self.ended(await self.say("one", agent_id=self.quick))
        await meanwhile()
        await self.ended(await self.say('call count_effect {"seconds": 0.2}', agent_id=self.quick))
        third = await self.say("three")
        queued = await self.say("never", busy_strategy=run_pb2.BUSY_STRATEGY_ENQUEUE)
        await self.update("title", title="a title")
        await self.cancel(queued)
        await meanwhile()
        await self.update("metadata", metadata={"place": "here"})
        await self.remark("by the way")
        await self.ended(third)
        taken_over = await self.say("four", busy_strategy=run_pb2.BUSY_STRATEGY_MERGE)
        await self.speaks(taken_over)
        await meanwhile()
        fifth = await self.say("five", busy_strategy=run_pb2.BUSY_STRATEGY_MERGE)
        await self.ended(taken_over)
        await meanwhile()
        await self.ended(fifth)

    async def end(self, tabs: list[Tab]) -> None:
        """Let the tabs come to rest, so that each watches, and delete the thread under them."""
        for tab in tabs:
            tab.is_calm = True
        await self.update("title", title=LAST_TITLE)
        for tab in tabs:
            await tab.has_last_title.wait()
        await self.delete()


async def persistently(call: Any) -> Any:
    while True:
        try:
            return await call()
        except grpc.aio.AioRpcError as error:
            if error.code() not in RESUMABLE:
                raise
        await asyncio.sleep(0.1)
