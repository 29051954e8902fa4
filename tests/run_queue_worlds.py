"""What the contract tests of the run queue need of it, for the fake and for threads."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import grpc
from weft.runs.v1 import (
    admission_service_pb2,
    admission_service_pb2_grpc,
    event_pb2,
    run_log_service_pb2,
    run_log_service_pb2_grpc,
    run_queue_service_pb2_grpc,
    run_service_pb2,
    run_service_pb2_grpc,
)
from weft.tenants.v1 import tenant_service_pb2, tenant_service_pb2_grpc
from weft_cli.stack import Stack
from weft_core.ids import parse_id
from weft_grpckit.channels import open_channel, service_token
from weft_grpckit.tokens import NOBODY, TokenSigner, token_metadata
from weft_testkit.run_queue import FakeRunQueue

SCOPES = ("runs.read", "runs.write")


class QueueWorld(Protocol):
    queue: "run_queue_service_pb2_grpc.RunQueueServiceAsyncStub"

    async def initiate(self, text: str) -> str:
        """Return the id of a new run."""

    async def cancel(self, run_id: str) -> None: ...

    async def events(self, run_id: str) -> list[event_pb2.RunEvent]: ...


@dataclass
class FakeWorld:
    queue: "run_queue_service_pb2_grpc.RunQueueServiceAsyncStub"
    fake: FakeRunQueue

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncIterator[QueueWorld]:
        async with FakeRunQueue() as fake:  # type: ignore[abstract]
            async with grpc.aio.insecure_channel(fake.address) as channel:
                yield cls(run_queue_service_pb2_grpc.RunQueueServiceStub(channel), fake)

    async def initiate(self, text: str) -> str:
        return self.fake.add_run(text).run_id

    async def cancel(self, run_id: str) -> None:
        self.fake.runs[run_id].stop_requested = True

    async def events(self, run_id: str) -> list[event_pb2.RunEvent]:
        return self.fake.runs[run_id].events


@dataclass
class ThreadsWorld:
    queue: "run_queue_service_pb2_grpc.RunQueueServiceAsyncStub"
    channel: grpc.aio.Channel
    metadata: tuple[tuple[str, str], ...]

    @classmethod
    @asynccontextmanager
    async def open(cls, stack: Stack) -> AsyncIterator[QueueWorld]:
        signer = TokenSigner(bytes.fromhex(stack.token_key))
        address = f"127.0.0.1:{stack.ports['threads']}"
        async with open_channel(address, token=service_token(signer, "agent-runner")) as channel:
            operator = token_metadata(signer.caller_token(NOBODY, "operator", ["tenants.admin"]))
            made = await tenant_service_pb2_grpc.TenantServiceStub(channel).CreateTenant(
                tenant_service_pb2.CreateTenantRequest(display_name="contract"), metadata=operator
            )
            tenant = parse_id("ten", made.tenant.tenant_id)
            yield cls(
                run_queue_service_pb2_grpc.RunQueueServiceStub(channel),
                channel,
                token_metadata(signer.caller_token(tenant, "tester", SCOPES)),
            )

    async def initiate(self, text: str) -> str:
        made = await admission_service_pb2_grpc.AdmissionServiceStub(self.channel).InitiateRun(
            admission_service_pb2.InitiateRunRequest(text=text), metadata=self.metadata
        )
        return made.run_id

    async def cancel(self, run_id: str) -> None:
        await run_service_pb2_grpc.RunServiceStub(self.channel).CancelRun(
            run_service_pb2.CancelRunRequest(run_id=run_id), metadata=self.metadata
        )

    async def events(self, run_id: str) -> list[event_pb2.RunEvent]:
        page = await run_log_service_pb2_grpc.RunLogServiceStub(self.channel).ReadEvents(
            run_log_service_pb2.ReadEventsRequest(run_id=run_id), metadata=self.metadata
        )
        return [event_pb2.RunEvent.FromString(event) for event in page.events]
