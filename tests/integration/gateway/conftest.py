"""A real gateway on a loopback port, a real Redis, and a fake threads behind real gRPC."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import grpc
import pytest
from redis.asyncio import Redis
from weft.gateway.v1 import agent_gateway_service_pb2 as pb
from weft.gateway.v1 import agent_gateway_service_pb2_grpc as rpc
from weft_gateway.server import Gateway, compose
from weft_gateway.settings import GatewaySettings
from weft_grpckit.program import Program, end_tasks
from weft_testkit.fake_upstream import FakeRun, FakeThread, FakeUpstream
from weft_testkit.redis_server import RedisServer
from weft_wire.outlet import RedisOutlet

TENANT, OTHER_TENANT = UUID(int=1), UUID(int=2)
KEY, READER_KEY, WRITER_KEY, OTHER_KEY = "weft_owner", "weft_reader", "weft_writer", "weft_other"
THREADS_KEY = "weft_threads"
OPERATOR_KEY = "o" * 32
TOKEN_KEY = b"t" * 32
SCOPES = ("runs.read", "runs.write", "threads.read", "tools.execute", "agents.read")


@dataclass
class Edge:
    """The gateway, and what stands round it."""

    gateway: Gateway
    program: Program
    threads: FakeUpstream
    redis: RedisServer
    channel: grpc.aio.Channel
    end_serving: asyncio.Task[None]

    @property
    def stub(self) -> Any:
        return rpc.AgentGatewayStub(self.channel)

    def watch(
        self, run: FakeRun | str, after_seq: int = 0, key: str = KEY, *, follow_successor: bool = False, **terms: Any
    ) -> Any:
        run_id = run if isinstance(run, str) else run.run_id
        request = pb.RunEventsRequest(run_id=run_id, after_seq=after_seq, follow_successor=follow_successor)
        return self.stub.RunEvents(request, metadata=(("x-api-key", key),), **terms)

    def stream_agent(self, key: str = KEY, *, follow_successor: bool = False, **fields: Any) -> Any:
        initiate = pb.InitiateAgentRequest(**{"text": "hello", **fields})
        request = pb.StreamAgentRequest(initiate=initiate, follow_successor=follow_successor)
        return self.stub.StreamAgent(request, metadata=(("x-api-key", key),))

    def watch_thread(self, thread: FakeThread | str, key: str = KEY, **fields: Any) -> Any:
        thread_id = thread if isinstance(thread, str) else thread.thread_id
        request = pb.ThreadEventsRequest(thread_id=thread_id, **fields)
        return self.stub.ThreadEvents(request, metadata=(("x-api-key", key),))

    async def stop(self) -> None:
        self.program.stopping.set()
        await self.end_serving

    async def redis_subscriptions(self) -> int:
        async with Redis.from_url(self.redis.url) as client:
            return len(await client.pubsub_channels())

    async def subscriptions_become(self, count: int) -> None:
        async with asyncio.timeout(5):
            while await self.redis_subscriptions() != count:  # noqa: ASYNC110 - Redis signals nothing of it
                await asyncio.sleep(0.02)


def settings_of(redis: RedisServer, upstream: FakeUpstream, overrides: dict[str, Any]) -> GatewaySettings:
    values: dict[str, Any] = {
        "listen_address": "127.0.0.1:0",
        "token_key": TOKEN_KEY.hex(),
        "operator_key": OPERATOR_KEY,
        "redis_url": redis.url,
        "threads_addresses": f"127.0.0.1:{upstream.port}",
        "tools_addresses": f"127.0.0.1:{upstream.port}",
        "stop_grace_seconds": 1,
        "strict_reasons": True,
    }
    return GatewaySettings(**{**values, **overrides})


@asynccontextmanager
async def upstream_on(redis: RedisServer) -> AsyncIterator[FakeUpstream]:
    """A fake threads that publishes over the real Redis, with five keys."""
    outlet = RedisOutlet(redis.url)
    sending = asyncio.create_task(outlet.run())
    upstream = FakeUpstream(TOKEN_KEY, outlet.publish)
    upstream.add_key(KEY, TENANT, *SCOPES)
    upstream.add_key(READER_KEY, TENANT, "runs.read")
    upstream.add_key(WRITER_KEY, TENANT, "runs.write")
    upstream.add_key(THREADS_KEY, TENANT, "threads.read")
    upstream.add_key(OTHER_KEY, OTHER_TENANT, *SCOPES)
    try:
        async with upstream:
            yield upstream
    finally:
        await end_tasks([sending])


@asynccontextmanager
async def opened(redis: RedisServer, **overrides: Any) -> AsyncIterator[Edge]:
    async with upstream_on(redis) as upstream:
        program = Program(grace_seconds=1)
        settings = settings_of(redis, upstream, overrides)
        composed: asyncio.Future[Gateway] = asyncio.get_running_loop().create_future()

        async def composing(running: Program) -> None:
            composed.set_result(await compose(running, settings))

        serving = asyncio.create_task(program.run(composing))
        await asyncio.wait((composed, serving), timeout=10, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
        gateway = composed.result()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{gateway.port}") as channel:
            edge = Edge(gateway, program, upstream, redis, channel, serving)
            try:
                yield edge
            finally:
                await edge.stop()


@pytest.fixture
async def redis() -> AsyncIterator[RedisServer]:
    async with RedisServer() as server:
        yield server


@pytest.fixture
async def edge(redis: RedisServer) -> AsyncIterator[Edge]:
    async with opened(redis) as found:
        yield found


@pytest.fixture
async def impatient(redis: RedisServer) -> AsyncIterator[Edge]:
    """A gateway with a keep-alive every 0.2 seconds."""
    async with opened(redis, keepalive_seconds=0.2) as found:
        yield found
