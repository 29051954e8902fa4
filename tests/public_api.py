"""The public API as a test calls it: through the gateway, with an API key, and watches that resume by themselves."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from oracle import Recordings
from weft.agents.v1 import agent_pb2, agent_service_pb2, agent_service_pb2_grpc
from weft.documents.v1 import document_service_pb2_grpc
from weft.gateway.v1 import agent_gateway_service_pb2 as gateway_pb
from weft.gateway.v1 import agent_gateway_service_pb2_grpc as gateway_grpc
from weft.projects.v1 import project_service_pb2_grpc
from weft.runs.v1 import event_pb2, run_pb2, run_service_pb2, run_service_pb2_grpc
from weft.tasks.v1 import task_service_pb2_grpc
from weft.tenants.v1 import tenant_service_pb2, tenant_service_pb2_grpc
from weft.threads.v1 import message_pb2, thread_service_pb2, thread_service_pb2_grpc
from weft.tools.v1 import tool_service_pb2_grpc
from weft.usage.v1 import usage_service_pb2_grpc

TERMINAL = ("run_succeeded", "run_failed", "run_cancelled", "run_timed_out", "run_superseded")
ALL_SCOPES = [
    f"{noun}.{right}"
    for noun in ("agents", "projects", "documents", "tasks", "threads", "runs")
    for right in ("read", "write")
] + ["tools.read", "tools.execute", "usage.read", "models.read", "models.write"]


def type_of(event: event_pb2.RunEvent) -> str:
    return str(event.WhichOneof("payload"))


def text_of(events: list[event_pb2.RunEvent]) -> str:
    """The deltas of the last message of these events."""
    deltas = [event.message_delta for event in events if type_of(event) == "message_delta"]
    return "".join(delta.text for delta in deltas if delta.message_id == deltas[-1].message_id)


class DroppedError(Exception):
    """The test itself let go of a stream."""


async def _events_of(call: Any, drop_chance: float) -> AsyncIterator[event_pb2.RunEvent]:
    async for response in call:
        for event in response.events:
            yield event
        if random.random() < drop_chance:
            raise DroppedError


@dataclass
class Api:
    """Stubs of every public service, all through gateways; `addresses` are used in turn."""

    addresses: list[str]
    key: str
    recordings: Recordings = field(default_factory=Recordings)
    channels: list[grpc.aio.Channel] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.channels = [grpc.aio.insecure_channel(address) for address in self.addresses]

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        return (("x-api-key", self.key),)

    @property
    def channel(self) -> grpc.aio.Channel:
        return random.choice(self.channels)

    @property
    def gateway(self) -> Any:
        return gateway_grpc.AgentGatewayStub(self.channel)

    @property
    def usage(self) -> Any:
        return usage_service_pb2_grpc.UsageServiceStub(self.channel)

    @property
    def runs(self) -> Any:
        return run_service_pb2_grpc.RunServiceStub(self.channel)

    @property
    def threads(self) -> Any:
        return thread_service_pb2_grpc.ThreadServiceStub(self.channel)

    @property
    def agents(self) -> Any:
        return agent_service_pb2_grpc.AgentServiceStub(self.channel)

    @property
    def projects(self) -> Any:
        return project_service_pb2_grpc.ProjectServiceStub(self.channel)

    @property
    def documents(self) -> Any:
        return document_service_pb2_grpc.DocumentServiceStub(self.channel)

    @property
    def tasks(self) -> Any:
        return task_service_pb2_grpc.TaskServiceStub(self.channel)

    @property
    def tools(self) -> Any:
        return tool_service_pb2_grpc.ToolServiceStub(self.channel)

    async def initiate(self, text: str, **fields: Any) -> gateway_pb.InitiateAgentResponse:
        """Initiate and record what was acknowledged."""
        request = gateway_pb.InitiateAgentRequest(text=text, **fields)
        made: gateway_pb.InitiateAgentResponse = await self.gateway.InitiateAgent(
            request, metadata=self.metadata, timeout=20
        )
        self.recordings.initiated(made.run_id, made.message_id)
        return made

    async def events(
        self,
        run_id: str,
        after_seq: int = 0,
        *,
        stop_when: Callable[[event_pb2.RunEvent], bool] = lambda _event: False,
        drop_chance: float = 0.0,
        seconds: float = 60,
    ) -> list[event_pb2.RunEvent]:
        """Watch a run to its end and record it, resuming whenever the stream breaks (or by chance, when asked to)."""
        seen: list[event_pb2.RunEvent] = []
        async with asyncio.timeout(seconds):
            async for event in self.follow(run_id, after_seq, drop_chance=drop_chance):
                seen.append(event)
                if stop_when(event):
                    return seen
        self.recordings.watched(run_id, seen, after_seq)
        return seen

    async def follow(
        self, run_id: str, after_seq: int = 0, *, drop_chance: float = 0.0
    ) -> AsyncIterator[event_pb2.RunEvent]:
        """Yield events until the terminal one; UNAVAILABLE and a bare CANCELLED are resumed from the last seq."""
        last = after_seq
        while True:
            request = gateway_pb.RunEventsRequest(run_id=run_id, after_seq=last)
            call = self.gateway.RunEvents(request, metadata=self.metadata)
            try:
                async for event in _events_of(call, drop_chance):
                    last = event.seq
                    yield event
                return
            except DroppedError:
                continue
            except grpc.aio.AioRpcError as error:
                if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
                    raise
                await asyncio.sleep(0.05)
            finally:
                call.cancel()

    async def get_run(self, run_id: str) -> run_pb2.Run:
        request = run_service_pb2.GetRunRequest(run_id=run_id)
        run: run_pb2.Run = (await self.runs.GetRun(request, metadata=self.metadata, timeout=10)).run
        return run

    async def wait(self, run_id: str, seconds: int = 60) -> run_pb2.Run:
        request = run_service_pb2.WaitRunRequest(run_id=run_id, timeout=Duration(seconds=seconds))
        run: run_pb2.Run = (await self.runs.WaitRun(request, metadata=self.metadata, timeout=seconds + 10)).run
        return run

    async def cancel(self, run_id: str, wait_seconds: int = 5) -> run_pb2.Run:
        request = run_service_pb2.CancelRunRequest(run_id=run_id, wait=Duration(seconds=wait_seconds))
        run: run_pb2.Run = (await self.runs.CancelRun(request, metadata=self.metadata, timeout=15)).run
        return run

    async def messages(self, thread_id: str) -> list[message_pb2.Message]:
        request = thread_service_pb2.ListMessagesRequest(thread_id=thread_id, page_size=1000)
        return list((await self.threads.ListMessages(request, metadata=self.metadata, timeout=10)).messages)

    async def make_agent(self, model: str, **spec: Any) -> str:
        """Make an agent with a (scripted) model and return its id."""
        request = agent_service_pb2.CreateAgentRequest(
            display_name="test agent", spec=agent_pb2.AgentSpec(model=model, **spec)
        )
        response = await self.agents.CreateAgent(request, metadata=self.metadata, timeout=10)
        return str(response.agent.agent_id)

    async def close(self) -> None:
        for channel in self.channels:
            await channel.close()


@asynccontextmanager
async def new_tenant(
    addresses: list[str], operator_key: str, *, scopes: list[str] | None = None, name: str = "test"
) -> AsyncIterator[Api]:
    """Make a tenant with a key, through the public API, and open the API as that tenant."""
    async with grpc.aio.insecure_channel(addresses[0]) as channel:
        stub: Any = tenant_service_pb2_grpc.TenantServiceStub(channel)
        operator = (("x-api-key", operator_key),)
        tenant = (
            await stub.CreateTenant(
                tenant_service_pb2.CreateTenantRequest(display_name=name), metadata=operator, timeout=10
            )
        ).tenant
        key = await stub.CreateApiKey(
            tenant_service_pb2.CreateApiKeyRequest(
                tenant_id=tenant.tenant_id, display_name=name, scopes=scopes or ALL_SCOPES
            ),
            metadata=operator,
            timeout=10,
        )
    api = Api(addresses, key.secret)
    try:
        yield api
    finally:
        await api.close()
