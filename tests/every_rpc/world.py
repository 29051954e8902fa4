"""A real stack whose only runner is the test, two tenants on it, and what each can make."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from uuid import UUID, uuid4

import grpc
import uuid_utils.compat
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from public_api import ALL_SCOPES
from weft.agents.v1 import agent_pb2
from weft.agents.v1 import agent_service_pb2 as agents
from weft.documents.v1 import document_service_pb2 as documents
from weft.projects.v1 import project_service_pb2 as projects
from weft.runner.v1 import agent_runner_service_pb2 as runner
from weft.runs.v1 import admission_service_pb2 as admission
from weft.runs.v1 import run_pb2
from weft.runs.v1 import run_queue_service_pb2 as queue
from weft.runs.v1 import run_service_pb2 as runs
from weft.tasks.v1 import task_service_pb2 as tasks
from weft.tenants.v1 import tenant_pb2
from weft.tenants.v1 import tenant_service_pb2 as tenants
from weft.threads.v1 import message_pb2
from weft.threads.v1 import thread_service_pb2 as threads
from weft.tools.v1 import tool_journal_service_pb2 as journal
from weft.tools.v1 import tool_service_pb2 as tools
from weft_cli.stack import Stack
from weft_core.ids import format_id, parse_id
from weft_grpckit.tokens import NOBODY, TokenSigner, token_metadata

from every_rpc.answers import Answer, ask
from every_rpc.catalogue import SERVED_BY, Rpc, all_rpcs

BY_REQUEST = {rpc.request.DESCRIPTOR.full_name: rpc for rpc in all_rpcs()}
MEMBERS = {"postgres", "redis", "threads", "tools", "agent-runner", "gateway"}
ENV = {
    "*": {"WEFT_STRICT_REASONS": "1"},
    # Nothing that a test has claimed is taken from it.
    "threads": {"WEFT_RUNNER_LEASE_SECONDS": "300"},
}


def unknown_id(prefix: str) -> str:
    return format_id(prefix, uuid_utils.compat.uuid7())


@dataclass
class Estate:
    """A tenant, with two of everything that can be listed."""

    world: "World"
    tenant: tenant_pb2.Tenant
    key: str = ""
    api_key_id: str = ""
    agent_id: str = ""
    agent_version_id: str = ""
    project_id: str = ""
    document_id: str = ""
    task_id: str = ""
    thread_id: str = ""
    run_id: str = ""
    ended_run_id: str = ""

    @property
    def tenant_id(self) -> str:
        return self.tenant.tenant_id

    @property
    def uuid(self) -> UUID:
        return parse_id("ten", self.tenant_id)

    def token(self, scopes: list[str] = ALL_SCOPES, **terms: Any) -> str:
        return self.world.signer.caller_token(self.uuid, self.api_key_id or "key_test", scopes, **terms)

    def run_token(self, run_id: str, epoch: int = 1, agent_id: str = "") -> str:
        """Sign what a claim of this run would return."""
        return self.world.signer.run_token(
            self.uuid,
            "key_test",
            RUN_SCOPES,
            run_id=parse_id("run", run_id),
            epoch=epoch,
            agent_id=parse_id("agt", agent_id or self.agent_id),
            lifetime_seconds=300,
        )

    async def do(self, request: Message) -> Any:
        """Call behind the gateway, as whoever may; it must succeed."""
        rpc = BY_REQUEST[request.DESCRIPTOR.full_name]
        answer = await self.world.ask_inner(rpc, request, self.world.token_of(rpc, self))
        assert answer.is_ok, f"{rpc}: {answer}"
        return answer.responses[-1]

    async def make_key(self, scopes: list[str] = ALL_SCOPES, **fields: Any) -> tenants.CreateApiKeyResponse:
        request = tenants.CreateApiKeyRequest(tenant_id=self.tenant_id, display_name="key", scopes=scopes, **fields)
        made: tenants.CreateApiKeyResponse = await self.do(request)
        return made

    async def make_agent(self, *tools: str, **spec: Any) -> str:
        asked = agents.CreateAgentRequest(display_name="agent", spec=agent_pb2.AgentSpec(tools=tools, **spec))
        return str((await self.do(asked)).agent.agent_id)

    async def make_project(self) -> str:
        return str((await self.do(projects.CreateProjectRequest(display_name="project"))).project.project_id)

    async def make_document(self, title: str = "") -> str:
        asked = documents.PutDocumentRequest(
            project_id=self.project_id, title=title or f"title {uuid4()}", text=f"words of {self.tenant.display_name}"
        )
        return str((await self.do(asked)).document.document_id)

    async def make_task(self) -> str:
        asked = tasks.CreateTaskRequest(project_id=self.project_id, title=f"task of {self.tenant.display_name}")
        return str((await self.do(asked)).task.task_id)

    async def make_thread(self, agent_id: str = "", project_id: str = "") -> str:
        asked = threads.CreateThreadRequest(
            project_id=project_id or self.project_id,
            agent_id=agent_id or self.agent_id,
            title="thread",
            metadata={"kind": "furniture"},
        )
        return str((await self.do(asked)).thread.thread_id)

    async def make_message(self, thread_id: str) -> None:
        part = message_pb2.Part(text=f"message of {self.tenant.display_name}")
        await self.do(threads.CreateMessageRequest(thread_id=thread_id, role=message_pb2.ROLE_USER, parts=[part]))

    async def make_run(self, thread_id: str = "", **fields: Any) -> admission.InitiateRunResponse:
        """Make a run that nobody takes up before `claim`."""
        asked = admission.InitiateRunRequest(
            text=f"text of {self.tenant.display_name}",
            thread_id=thread_id or await self.make_thread(fields.get("agent_id", "")),
            busy_strategy=run_pb2.BUSY_STRATEGY_ENQUEUE,
            **fields,
        )
        made: admission.InitiateRunResponse = await self.do(asked)
        return made

    async def make_ended_run(self) -> str:
        run_id = (await self.make_run()).run_id
        await self.do(runs.CancelRunRequest(run_id=run_id))
        return run_id

    async def make_claimed_run(self, **fields: Any) -> queue.ClaimedRun:
        return await self.world.claim((await self.make_run(**fields)).run_id)

    async def make_usage(self, model: str) -> None:
        """Make a run that used something of a model, and of a tool."""
        run = await self.make_claimed_run(agent_id=self.agent_id)
        usage = run_pb2.Usage(input_tokens=1, output_tokens=1)
        entry = queue.CommitEntry(
            tenant_id=run.tenant_id,
            run_id=run.run_id,
            epoch=run.epoch,
            expected_seq=run.last_seq,
            finish_step=queue.FinishStep(step=1, attempt=1, is_succeeded=True, usage=usage, model=model),
        )
        await self.do(queue.CommitRequest(runner_id=self.world.runner_id, entries=[entry]))
        call = tools.ExecuteToolRequest(
            agent_id=self.agent_id,
            project_id=self.project_id,
            name="create_task",
            arguments_json='{"title": "a task"}',
            request_id=str(uuid4()),
        )
        await self.do(call)
        begin = journal.BeginExecutionRequest(
            agent_id=self.agent_id,
            project_id=self.project_id,
            request_id=str(uuid4()),
            name="create_task",
            arguments_sha256=bytes(32),
            lease=Duration(seconds=30),
        )
        await self.do(begin)

    async def furnish(self) -> None:
        made = await self.make_key()
        self.key, self.api_key_id = made.secret, made.api_key.api_key_id
        await self.make_key()
        self.agent_id = await self.make_agent("create_task")
        agent = (await self.do(agents.UpdateAgentRequest(agent_id=self.agent_id, spec=_a_spec()))).agent
        self.agent_version_id = agent.agent_version_id
        self.project_id = await self.make_project()
        self.thread_id, _ = await self.make_thread(), await self.make_thread()
        for _ in range(2):
            self.document_id = await self.make_document()
            self.task_id = await self.make_task()
            await self.make_message(self.thread_id)
            self.run_id = (await self.make_run(self.thread_id)).run_id
            await self.make_usage(f"model {self.run_id}")
        self.ended_run_id = await self.make_ended_run()


def _a_spec() -> agent_pb2.AgentSpec:
    return agent_pb2.AgentSpec(tools=["create_task"], system_instructions="a second version")


# What the token of a run opens; see design.md on runs' tokens.
RUN_SCOPES = [
    *("agents.read", "documents.read", "projects.read", "runs.read"),
    *("models.use", "tasks.write", "tools.execute", "tools.read"),
]


@dataclass
class World:
    stack: Stack
    signer: TokenSigner
    runner_id: str = ""
    claimed: dict[str, queue.ClaimedRun] = field(default_factory=dict)

    @cached_property
    def channels(self) -> dict[str, grpc.aio.Channel]:
        return {name: grpc.aio.insecure_channel(self.stack.address(name)) for name in set(SERVED_BY.values())}

    async def ask_inner(self, rpc: Rpc, request: Message, token: str) -> Answer:
        """Call the service itself, with an internal token."""
        return await ask(self.channels[SERVED_BY[rpc.service]], rpc, request, token_metadata(token) if token else ())

    async def ask_gateway(self, rpc: Rpc, request: Message, key: str) -> Answer:
        return await ask(self.channels["gateway"], rpc, request, (("x-api-key", key),) if key else ())

    def token_of(self, rpc: Rpc, owner: Estate) -> str:
        """Return the token of whom the contract lets call, behind the gateway."""
        if rpc.contract.service_callers:
            return self.signer.service_token(min(rpc.contract.service_callers))
        if rpc.contract.scope == "tenants.admin":
            return self.signer.caller_token(NOBODY, "operator", ["tenants.admin"])
        return owner.token()

    def key_of(self, rpc: Rpc, owner: Estate) -> str:
        return self.stack.operator_key if rpc.contract.scope == "tenants.admin" else owner.key

    async def make_estate(self, name: str, **limits: int) -> Estate:
        """Make a tenant and furnish it, unless it has `limits`: then only with a key."""
        asked = tenants.CreateTenantRequest(display_name=name, limits=tenant_pb2.TenantLimits(**limits))
        nobody = Estate(self, tenant_pb2.Tenant())
        estate = Estate(self, (await nobody.do(asked)).tenant)
        if not limits:
            await estate.furnish()
            return estate
        made = await estate.make_key()
        estate.key, estate.api_key_id = made.secret, made.api_key.api_key_id
        estate.agent_id, estate.project_id = estate.tenant.default_agent_id, estate.tenant.default_project_id
        return estate

    async def claim(self, run_id: str) -> queue.ClaimedRun:
        """Take up every run that waits, this one among them."""
        estate = Estate(self, tenant_pb2.Tenant())
        async with asyncio.timeout(10):
            while run_id not in self.claimed:
                taken = await estate.do(queue.ClaimRunsRequest(runner_id=self.runner_id, max_runs=100))
                self.claimed |= {run.run_id: run for run in taken.runs}
        return self.claimed[run_id]

    async def register_runner(self) -> str:
        made = await Estate(self, tenant_pb2.Tenant()).do(queue.RegisterRunnerRequest(host="test"))
        return str(made.runner_id)


@asynccontextmanager
async def open_world(stack: Stack) -> AsyncIterator[World]:
    world = World(stack, TokenSigner(bytes.fromhex(stack.token_key)))
    try:
        await Estate(world, tenant_pb2.Tenant()).do(runner.DrainRequest())
        world.runner_id = await world.register_runner()
        yield world
    finally:
        for channel in world.channels.values():
            await channel.close()
