"""The public API as the commands use it: one channel, one key, and watches that resume."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import grpc
from weft.agents.v1.agent_service_pb2_grpc import AgentServiceStub
from weft.documents.v1.document_service_pb2_grpc import DocumentServiceStub
from weft.gateway.v1 import agent_gateway_service_pb2 as gateway_pb
from weft.gateway.v1.agent_gateway_service_pb2_grpc import AgentGatewayStub
from weft.projects.v1.project_service_pb2_grpc import ProjectServiceStub
from weft.runs.v1.event_pb2 import RunEvent
from weft.runs.v1.run_service_pb2_grpc import RunServiceStub
from weft.tasks.v1.task_service_pb2_grpc import TaskServiceStub
from weft.threads.v1.thread_service_pb2_grpc import ThreadServiceStub
from weft.tools.v1.tool_service_pb2_grpc import ToolServiceStub
from weft.usage.v1.usage_service_pb2_grpc import UsageServiceStub

from weft_cli.place import target_of

if TYPE_CHECKING:
    from grpc.aio import UnaryStreamMultiCallable, UnaryUnaryMultiCallable

MESSAGE_BYTES = 16 * 1024 * 1024
CALL_SECONDS = 30.0
PAGE_SIZE = 200
FIRST_TRIES, RESUMES = 4, 30  # a server that was never there is not waited for as long as one that was
# A server that is stopping or overrun ends a watch with these; the log is still there.
RESUMABLE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)

Request = TypeVar("Request")
Answer = TypeVar("Answer")


class Api:
    """Use as an async context manager, inside the event loop."""

    def __init__(self, address: str, api_key: str) -> None:
        target, is_tls = target_of(address)
        options = [("grpc.max_receive_message_length", MESSAGE_BYTES)]
        self._channel = (
            grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(), options)
            if is_tls
            else grpc.aio.insecure_channel(target, options)
        )
        self._metadata = (("x-api-key", api_key),)
        self.gateway = AgentGatewayStub(self._channel)
        self.agents = AgentServiceStub(self._channel)
        self.projects = ProjectServiceStub(self._channel)
        self.documents = DocumentServiceStub(self._channel)
        self.tasks = TaskServiceStub(self._channel)
        self.threads = ThreadServiceStub(self._channel)
        self.runs = RunServiceStub(self._channel)
        self.tools = ToolServiceStub(self._channel)
        self.usage = UsageServiceStub(self._channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self._channel.close()

    async def call(
        self, method: "UnaryUnaryMultiCallable[Request, Answer]", request: Request, seconds: float = CALL_SECONDS
    ) -> Answer:
        return await method(request, metadata=self._metadata, timeout=seconds)

    async def stream(
        self, method: "UnaryStreamMultiCallable[Request, Answer]", request: Request, seconds: float
    ) -> AsyncGenerator[Answer, None]:
        async for answer in method(request, metadata=self._metadata, timeout=seconds):
            yield answer

    async def pages(
        self, method: "UnaryUnaryMultiCallable[Request, Answer]", request: Request, name: str, limit: int | None = None
    ) -> list[Any]:
        """Return what a list has in its field `name`, over all its pages; at most `limit`."""
        asked: Any = request
        items: list[Any] = []
        while limit is None or len(items) < limit:
            asked.page_size = PAGE_SIZE if limit is None else min(PAGE_SIZE, limit - len(items))
            page: Any = await self.call(method, request)
            items += getattr(page, name)
            asked.page_token = page.next_page_token
            if not page.next_page_token:
                break
        return items

    async def watch(self, run_id: str, after_seq: int = 0) -> AsyncGenerator[RunEvent, None]:
        """Yield the events after `after_seq` until the terminal one, over lost connections. Close it if done early."""

        def call() -> Any:
            request = gateway_pb.RunEventsRequest(run_id=run_id, after_seq=after_seq)
            return self.gateway.RunEvents(request, metadata=self._metadata)

        async with aclosing(_resumed(call)) as responses:
            async for response in responses:
                for event in response.events:
                    after_seq = event.seq
                    yield event

    async def watch_thread(
        self, thread_id: str, *, from_now: bool
    ) -> AsyncGenerator[gateway_pb.ThreadStreamItem, None]:
        """Yield all that happens in a thread until it is deleted, over lost connections. Close it if done early."""
        cursor: gateway_pb.ThreadCursor | None = None

        def call() -> Any:
            request = gateway_pb.ThreadEventsRequest(
                thread_id=thread_id, after=cursor, from_now=from_now and cursor is None
            )
            return self.gateway.ThreadEvents(request, metadata=self._metadata)

        async with aclosing(_resumed(call)) as responses:
            async for response in responses:
                for item in response.items:
                    yield item
                cursor = response.cursor


async def _resumed(call: Callable[[], Any]) -> AsyncGenerator[Any, None]:
    """Yield the responses of a watch, over lost connections; `call` begins one behind all that came."""
    failures, most_failures = 0, FIRST_TRIES
    while True:
        watch = call()
        try:
            async for response in watch:
                failures, most_failures = 0, RESUMES
                yield response
            return
        except grpc.aio.AioRpcError as fault:
            failures += 1
            if fault.code() not in RESUMABLE or failures > most_failures:
                raise
        finally:
            watch.cancel()
        await asyncio.sleep(min(2.0, 0.05 * 2**failures))


def payload_of(event: RunEvent) -> Any:
    """Return the event's payload message."""
    return getattr(event, event.WhichOneof("payload") or "run_queued")


def type_of(event: RunEvent) -> str:
    """Return the type as the log has it: `message.delta`."""
    return (event.WhichOneof("payload") or "unknown").replace("_", ".", 1)
