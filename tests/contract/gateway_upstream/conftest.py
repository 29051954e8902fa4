"""What the gateway relies on, of the fake that its tests use and of the real threads."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Protocol
from uuid import UUID

import pytest
from weft.runs.v1 import (
    admission_service_pb2,
    admission_service_pb2_grpc,
    event_pb2,
    run_pb2,
    run_service_pb2,
    run_service_pb2_grpc,
    thread_event_pb2,
)
from weft.tenants.v1 import tenant_service_pb2, tenant_service_pb2_grpc
from weft.threads.v1 import thread_service_pb2, thread_service_pb2_grpc
from weft_cli.stack import Stack
from weft_core.ids import format_id, parse_id
from weft_grpckit.channels import ServiceChannel, open_channel
from weft_grpckit.program import end_tasks
from weft_grpckit.tokens import NOBODY, TokenSigner, token_metadata
from weft_testkit.fake_upstream import FakeRun, FakeUpstream
from weft_testkit.redis_server import RedisServer
from weft_wire.outlet import RedisOutlet

TOKEN_KEY = b"t" * 32
CANCELLED = event_pb2.RunEvent(seq=2, run_cancelled=event_pb2.RunCancelled())


class Upstream(Protocol):
    """Threads, and what a test makes it do."""

    channel: ServiceChannel
    signer: TokenSigner
    redis_url: str

    async def make_tenant(self) -> UUID: ...

    async def make_key(self, tenant_id: UUID) -> str: ...

    async def make_run(self, tenant_id: UUID) -> str:
        """Return a run that has begun and does not end by itself."""

    async def end_run(self, tenant_id: UUID, run_id: str) -> None: ...

    async def make_thread(self, tenant_id: UUID) -> str:
        """Return a thread with a message, a run that waits, and another that was cancelled before it began."""

    async def rename_thread(self, tenant_id: UUID, thread_id: str, title: str) -> None: ...

    async def delete_thread(self, tenant_id: UUID, thread_id: str) -> None:
        """Delete it; the run that waits is cancelled with it."""


class FakeSide:
    def __init__(self, fake: FakeUpstream, channel: ServiceChannel, redis_url: str) -> None:
        self.fake, self.channel, self.redis_url = fake, channel, redis_url
        self.signer = TokenSigner(TOKEN_KEY)
        self._made = 0

    def _next(self) -> int:
        self._made += 1
        return self._made

    async def make_tenant(self) -> UUID:
        return UUID(int=self._next())

    async def make_key(self, tenant_id: UUID) -> str:
        secret = f"weft_{self._next()}"
        self.fake.add_key(secret, tenant_id, "runs.read")
        return secret

    async def make_run(self, tenant_id: UUID) -> str:
        run = self.fake.add_run(tenant_id, self._next())
        self.fake.append(run)
        return run.run_id

    async def end_run(self, tenant_id: UUID, run_id: str) -> None:
        run: FakeRun = self.fake.runs[run_id]
        self.fake.append(run, is_terminal=True)

    async def make_thread(self, tenant_id: UUID) -> str:
        thread = self.fake.add_thread(tenant_id, self._next())
        waiting, cancelled = (self.fake.add_run(tenant_id, self._next()).run_id for _ in range(2))
        for run_id in (waiting, cancelled):
            self.fake.log(thread, message_created={"message": {"message_id": "msg_1"}})
            self.fake.log(thread, run_queued={"run_id": run_id, "message_id": "msg_1"})
        self.fake.log(thread, run_ended={"run_id": cancelled, "terminal_event": CANCELLED})
        return thread.thread_id

    async def rename_thread(self, tenant_id: UUID, thread_id: str, title: str) -> None:
        self.fake.log(self.fake.threads[thread_id], title_updated={"title": title})

    async def delete_thread(self, tenant_id: UUID, thread_id: str) -> None:
        thread = self.fake.threads[thread_id]
        waiting = thread_event_pb2.ThreadEvent.FromString(thread.events[1]).run_queued.run_id
        self.fake.log(thread, run_ended={"run_id": waiting, "terminal_event": CANCELLED})
        self.fake.log(thread, thread_deleted={})


class RealSide:
    def __init__(self, stack: Stack, channel: ServiceChannel) -> None:
        self.channel, self.redis_url = channel, stack.redis_url
        self.signer = TokenSigner(bytes.fromhex(stack.token_key))
        operator = self.signer.caller_token(NOBODY, "operator", ["tenants.admin"])
        self._operator = token_metadata(operator)

    async def make_tenant(self) -> UUID:
        stub: Any = tenant_service_pb2_grpc.TenantServiceStub(self.channel)
        request = tenant_service_pb2.CreateTenantRequest(display_name="test")
        return parse_id("ten", (await stub.CreateTenant(request, metadata=self._operator)).tenant.tenant_id)

    async def make_key(self, tenant_id: UUID) -> str:

        stub: Any = tenant_service_pb2_grpc.TenantServiceStub(self.channel)
        request = tenant_service_pb2.CreateApiKeyRequest(
            tenant_id=format_id("ten", tenant_id), display_name="test", scopes=["runs.read"]
        )
        return str((await stub.CreateApiKey(request, metadata=self._operator)).secret)

    async def make_run(self, tenant_id: UUID) -> str:
        stub: Any = admission_service_pb2_grpc.AdmissionServiceStub(self.channel)
        request = admission_service_pb2.InitiateRunRequest(text="hello")
        return str((await stub.InitiateRun(request, metadata=self._as_owner(tenant_id))).run_id)

    async def end_run(self, tenant_id: UUID, run_id: str) -> None:
        stub: Any = run_service_pb2_grpc.RunServiceStub(self.channel)
        await stub.CancelRun(run_service_pb2.CancelRunRequest(run_id=run_id), metadata=self._as_owner(tenant_id))

    async def make_thread(self, tenant_id: UUID) -> str:
        stub: Any = admission_service_pb2_grpc.AdmissionServiceStub(self.channel)
        first = await stub.InitiateRun(
            admission_service_pb2.InitiateRunRequest(text="hello"), metadata=self._as_owner(tenant_id)
        )
        again = admission_service_pb2.InitiateRunRequest(
            text="again", thread_id=first.thread_id, busy_strategy=run_pb2.BUSY_STRATEGY_ENQUEUE
        )
        await self.end_run(tenant_id, (await stub.InitiateRun(again, metadata=self._as_owner(tenant_id))).run_id)
        return str(first.thread_id)

    async def rename_thread(self, tenant_id: UUID, thread_id: str, title: str) -> None:
        stub: Any = thread_service_pb2_grpc.ThreadServiceStub(self.channel)
        request = thread_service_pb2.UpdateThreadRequest(thread_id=thread_id, title=title)
        await stub.UpdateThread(request, metadata=self._as_owner(tenant_id))

    async def delete_thread(self, tenant_id: UUID, thread_id: str) -> None:
        stub: Any = thread_service_pb2_grpc.ThreadServiceStub(self.channel)
        request = thread_service_pb2.DeleteThreadRequest(thread_id=thread_id)
        await stub.DeleteThread(request, metadata=self._as_owner(tenant_id))

    def _as_owner(self, tenant_id: UUID) -> Any:
        return token_metadata(
            self.signer.caller_token(tenant_id, "somebody", ["runs.read", "runs.write", "threads.write"])
        )


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    with Stack(members={"postgres", "redis", "threads"}, postgres_settings={"fsync": "off"}) as running:
        yield running


@asynccontextmanager
async def faked() -> AsyncIterator[Upstream]:
    async with RedisServer() as redis:
        outlet = RedisOutlet(redis.url)

        sending = asyncio.create_task(outlet.run())
        try:
            async with (
                FakeUpstream(TOKEN_KEY, outlet.publish) as fake,
                open_channel(f"127.0.0.1:{fake.port}") as channel,
            ):
                yield FakeSide(fake, channel, redis.url)
        finally:
            await end_tasks([sending])


@pytest.fixture(params=["fake", "real"])
async def upstream(request: pytest.FixtureRequest) -> AsyncIterator[Upstream]:
    if request.param == "fake":
        async with faked() as side:
            yield side
        return
    running: Stack = request.getfixturevalue("stack")
    async with open_channel(running.address("threads")) as channel:
        yield RealSide(running, channel)
