"""What tests of the SDK share: a gateway that does to each stream what a test says; either client as one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from weft.gateway.v1 import agent_gateway_service_pb2 as gateway_pb
from weft.gateway.v1 import agent_gateway_service_pb2_grpc as gateway_grpc
from weft.runs.v1 import event_pb2 as pb
from weft.runs.v1.event_pb2 import RunEvent
from weft_client import AsyncWeft, Weft
from weft_core.errors import WeftError
from weft_grpckit.status import to_status

Behaviour = Callable[["FakeGateway", gateway_pb.RunEventsRequest, Any], AsyncIterator[gateway_pb.RunEventsResponse]]
LOG = [
    RunEvent(run_id="run_1", seq=1, run_queued=pb.RunQueued(thread_id="thr_1", message_id="msg_0")),
    *(
        RunEvent(run_id="run_1", seq=seq, message_delta=pb.MessageDelta(message_id="msg_1", text=f"{seq} "))
        for seq in range(2, 9)
    ),
    RunEvent(run_id="run_1", seq=9, run_succeeded=pb.RunSucceeded()),
]


@dataclass
class FakeGateway(gateway_grpc.AgentGatewayServicer):
    """Streams behave as the next of `behaviours` says; when none is left, as they should."""

    behaviours: list[Behaviour] = field(default_factory=list)
    requests: list[gateway_pb.RunEventsRequest] = field(default_factory=list)
    starts: list[gateway_pb.InitiateAgentRequest] = field(default_factory=list)
    metadata: list[dict[str, str | bytes]] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    freed: asyncio.Event = field(default_factory=asyncio.Event)
    went_well: int = 0  # streams that their callers let come to their end
    address: str = ""

    async def InitiateAgent(
        self, request: gateway_pb.InitiateAgentRequest, context: Any
    ) -> gateway_pb.InitiateAgentResponse:
        self.starts.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        return gateway_pb.InitiateAgentResponse(run_id="run_1", thread_id="thr_1")

    async def StreamAgent(
        self, request: gateway_pb.StreamAgentRequest, context: Any
    ) -> AsyncIterator[gateway_pb.StreamAgentResponse]:
        yield gateway_pb.StreamAgentResponse(initiated=await self.InitiateAgent(request.initiate, context))
        async for response in self.RunEvents(gateway_pb.RunEventsRequest(run_id="run_1"), context):
            yield gateway_pb.StreamAgentResponse.FromString(response.SerializeToString())

    async def ThreadEvents(
        self, request: gateway_pb.ThreadEventsRequest, context: Any
    ) -> AsyncIterator[gateway_pb.ThreadEventsResponse]:
        yield gateway_pb.ThreadEventsResponse(cursor=request.after)

    async def RunEvents(
        self, request: gateway_pb.RunEventsRequest, context: Any
    ) -> AsyncIterator[gateway_pb.RunEventsResponse]:
        self.requests.append(request)
        self.arrived.set()
        behave = self.behaviours.pop(0) if self.behaviours else honest
        async for response in behave(self, request, context):
            yield response

    @property
    def cursors(self) -> list[int]:
        return [request.after_seq for request in self.requests]


async def honest(
    _gateway: FakeGateway, request: gateway_pb.RunEventsRequest, _context: Any
) -> AsyncIterator[gateway_pb.RunEventsResponse]:
    yield gateway_pb.RunEventsResponse(events=LOG[request.after_seq :])


def brings(count: int, then: WeftError | None) -> Behaviour:
    """A stream that ends, or fails, after some events."""

    async def behave(
        _gateway: FakeGateway, request: gateway_pb.RunEventsRequest, context: Any
    ) -> AsyncIterator[gateway_pb.RunEventsResponse]:
        for event in LOG[request.after_seq : request.after_seq + count]:
            yield gateway_pb.RunEventsResponse(events=[event])
        if then is not None:
            await context.abort_with_status(to_status(then))

    return behave


async def lingers(
    gateway: FakeGateway, request: gateway_pb.RunEventsRequest, _context: Any
) -> AsyncIterator[gateway_pb.RunEventsResponse]:
    """A stream that ends a little after its last event."""
    yield gateway_pb.RunEventsResponse(events=LOG[request.after_seq :])
    await asyncio.sleep(0.05)
    gateway.went_well += 1


def silent_after(count: int) -> Behaviour:
    """A stream that says nothing more, and tells when its caller has left."""

    async def behave(
        gateway: FakeGateway, request: gateway_pb.RunEventsRequest, _context: Any
    ) -> AsyncIterator[gateway_pb.RunEventsResponse]:
        try:
            for event in LOG[request.after_seq : request.after_seq + count]:
                yield gateway_pb.RunEventsResponse(events=[event])
            await asyncio.Event().wait()
        finally:
            gateway.freed.set()

    return behave


@dataclass
class Client:
    """Either client under the same tests: the synchronous one in a thread."""

    weft: Weft | AsyncWeft

    async def collect(self, stream: Any, count: int | None = None) -> list[Any]:
        """Take so many events or items of a stream, all if none is said, and leave it."""
        seen: list[Any] = []
        if isinstance(self.weft, AsyncWeft):
            async with stream:
                while len(seen) != count and (event := await anext(stream, None)) is not None:
                    seen.append(event.proto)
            return seen

        def take() -> None:
            with stream:
                while len(seen) != count and (event := next(stream, None)) is not None:
                    seen.append(event.proto)

        await asyncio.to_thread(take)
        return seen

    async def call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        method = getattr(self.weft, name)
        if isinstance(self.weft, AsyncWeft):
            return await method(*args, **kwargs)
        return await asyncio.to_thread(method, *args, **kwargs)

    async def close(self) -> None:
        closing = self.weft.close()
        if isinstance(closing, Awaitable):
            await closing
