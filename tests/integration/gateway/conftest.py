"""A real gateway on a loopback port, a real Redis, and a fake threads behind real gRPC."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
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
from weft_testkit.fake_upstream import FakeRun, FakeUpstream
from weft_testkit.redis_server import RedisServer
from weft_wire.outlet import RedisOutlet

TENANT, OTHER_TENANT = UUID(int=1), UUID(int=2)
KEY, READER_KEY, OTHER_KEY = "weft_owner", "weft_reader", "weft_other"
OPERATOR_KEY = "o" * 32
TOKEN_KEY = b"t" * 32
SCOPES = ("runs.read", "runs.write", "tools.execute", "agents.read")


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

    def watch(self, run: FakeRun | str, after_seq: int = 0, key: str = KEY, **terms: Any) -> Any:
        run_id = run if isinstance(run, str) else run.run_id
        request = pb.RunEventsRequest(run_id=run_id, after_seq=after_seq)
        return self.stub.RunEvents(request, metadata=(("x-api-key", key),), **terms)

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


@asynccontextmanager
async def opened(redis: RedisServer, **overrides: Any) -> AsyncIterator[Edge]:
    outlet = RedisOutlet(redis.url)
    threads = FakeUpstream(TOKEN_KEY, outlet.publish)
    threads.add_key(KEY, TENANT, *SCOPES)
    threads.add_key(READER_KEY, TENANT, "runs.read")
    threads.add_key(OTHER_KEY, OTHER_TENANT, *SCOPES)
    async with AsyncExitStack() as stack:
        sending = asyncio.create_task(outlet.run())
        stack.push_async_callback(end_tasks, [sending])
        await stack.enter_async_context(threads)
        program = Program(grace_seconds=1)
        settings = GatewaySettings(
            **{
                "listen_address": "127.0.0.1:0",
                "token_key": TOKEN_KEY.hex(),
                "operator_key": OPERATOR_KEY,
                "redis_url": redis.url,
                "threads_addresses": f"127.0.0.1:{threads.port}",
                "tools_addresses": f"127.0.0.1:{threads.port}",
                "stop_grace_seconds": 1,
                "strict_reasons": True,
                **overrides,
            }
        )
        composed: asyncio.Future[Gateway] = asyncio.get_running_loop().create_future()

        async def composing(running: Program) -> None:
            composed.set_result(await compose(running, settings))

        serving = asyncio.create_task(program.run(composing))
        async with asyncio.timeout(10):
            await asyncio.wait((composed, serving), return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
        gateway = composed.result()
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{gateway.port}"))
        edge = Edge(gateway, program, threads, redis, channel, serving)
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
