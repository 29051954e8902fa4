"""Callers of a real threads service: tenants with every scope, strangers, runs, and what refusals look like."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest
import uuid_utils.compat
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from weft.agents.v1 import agent_pb2, agent_service_pb2, agent_service_pb2_grpc
from weft.documents.v1 import document_pb2, document_service_pb2, document_service_pb2_grpc
from weft.projects.v1 import project_service_pb2_grpc
from weft.runs.v1 import admission_service_pb2_grpc, run_queue_service_pb2_grpc, run_service_pb2_grpc
from weft.tasks.v1 import task_pb2, task_service_pb2, task_service_pb2_grpc
from weft.tenants.v1 import (
    credential_service_pb2_grpc,
    model_endpoint_service_pb2_grpc,
    tenant_pb2,
    tenant_service_pb2,
    tenant_service_pb2_grpc,
)
from weft.threads.v1 import attachment_service_pb2_grpc, thread_service_pb2_grpc
from weft.tools.v1 import tool_journal_service_pb2_grpc
from weft.usage.v1 import usage_service_pb2_grpc
from weft_core.ids import format_id, parse_id
from weft_grpckit.channels import open_channel
from weft_grpckit.status import reason_of
from weft_grpckit.tokens import NOBODY, TokenSigner

SCOPES = [
    f"{noun}.{verb}"
    for noun in ("agents", "projects", "documents", "tasks", "threads", "runs")
    for verb in ("read", "write")
] + ["tools.read", "tools.execute", "usage.read", "models.read", "models.write"]


class Client:
    """All services of threads, called with one token."""

    def __init__(self, address: str, token: str) -> None:
        self.channel: grpc.aio.Channel = open_channel(address, token=lambda: token, timeout_seconds=20)

    @cached_property
    def agents(self) -> "agent_service_pb2_grpc.AgentServiceAsyncStub":
        return agent_service_pb2_grpc.AgentServiceStub(self.channel)

    @cached_property
    def projects(self) -> "project_service_pb2_grpc.ProjectServiceAsyncStub":
        return project_service_pb2_grpc.ProjectServiceStub(self.channel)

    @cached_property
    def documents(self) -> "document_service_pb2_grpc.DocumentServiceAsyncStub":
        return document_service_pb2_grpc.DocumentServiceStub(self.channel)

    @cached_property
    def tasks(self) -> "task_service_pb2_grpc.TaskServiceAsyncStub":
        return task_service_pb2_grpc.TaskServiceStub(self.channel)

    @cached_property
    def threads(self) -> "thread_service_pb2_grpc.ThreadServiceAsyncStub":
        return thread_service_pb2_grpc.ThreadServiceStub(self.channel)

    @cached_property
    def tenants(self) -> "tenant_service_pb2_grpc.TenantServiceAsyncStub":
        return tenant_service_pb2_grpc.TenantServiceStub(self.channel)

    @cached_property
    def credentials(self) -> "credential_service_pb2_grpc.CredentialServiceAsyncStub":
        return credential_service_pb2_grpc.CredentialServiceStub(self.channel)

    @cached_property
    def admission(self) -> "admission_service_pb2_grpc.AdmissionServiceAsyncStub":
        return admission_service_pb2_grpc.AdmissionServiceStub(self.channel)

    @cached_property
    def runs(self) -> "run_service_pb2_grpc.RunServiceAsyncStub":
        return run_service_pb2_grpc.RunServiceStub(self.channel)

    @cached_property
    def queue(self) -> "run_queue_service_pb2_grpc.RunQueueServiceAsyncStub":
        return run_queue_service_pb2_grpc.RunQueueServiceStub(self.channel)

    @cached_property
    def attachments(self) -> "attachment_service_pb2_grpc.AttachmentServiceAsyncStub":
        return attachment_service_pb2_grpc.AttachmentServiceStub(self.channel)

    @cached_property
    def model_endpoints(self) -> "model_endpoint_service_pb2_grpc.ModelEndpointServiceAsyncStub":
        return model_endpoint_service_pb2_grpc.ModelEndpointServiceStub(self.channel)

    @cached_property
    def usage(self) -> "usage_service_pb2_grpc.UsageServiceAsyncStub":
        return usage_service_pb2_grpc.UsageServiceStub(self.channel)

    @cached_property
    def journal(self) -> "tool_journal_service_pb2_grpc.ToolJournalServiceAsyncStub":
        return tool_journal_service_pb2_grpc.ToolJournalServiceStub(self.channel)


@dataclass
class ThreadsWorld:
    """A threads service and those who call it."""

    address: str
    signer: TokenSigner

    def __post_init__(self) -> None:
        self._open: list[Client] = []

    def client(self, token: str) -> Client:
        client = Client(self.address, token)
        self._open.append(client)
        return client

    @cached_property
    def operator(self) -> Client:
        return self.client(self.signer.caller_token(NOBODY, "operator", ["tenants.admin"]))

    def service(self, name: str) -> Client:
        return self.client(self.signer.service_token(name))

    def caller(self, tenant_id: str, scopes: list[str] = SCOPES) -> Client:
        return self.client(self.signer.caller_token(parse_id("ten", tenant_id), "key_test", scopes))

    async def tenant(self, limits: tenant_pb2.TenantLimits | None = None) -> tuple[tenant_pb2.Tenant, Client]:
        """Make a tenant, and return it with a caller that has every scope."""
        request = tenant_service_pb2.CreateTenantRequest(display_name=f"tenant {uuid4()}", limits=limits)
        tenant = (await self.operator.tenants.CreateTenant(request)).tenant
        return tenant, self.caller(tenant.tenant_id)

    async def close(self) -> None:
        for client in self._open:
            await client.channel.close()


@dataclass
class Refusal:
    """What a refused call was told, once the block has ended."""

    error: grpc.aio.AioRpcError | None = None

    @property
    def fields(self) -> set[str]:
        """The names of the fields that break their rules."""
        return {each.field for each in self._detail(error_details_pb2.BadRequest()).field_violations}

    @property
    def metadata(self) -> dict[str, str]:
        return dict(self._detail(error_details_pb2.ErrorInfo()).metadata)

    @property
    def message(self) -> str:
        assert self.error is not None
        return self.error.details() or ""

    def _detail(self, wanted: Any) -> Any:
        assert self.error is not None
        call: Any = self.error
        status: Any = rpc_status.from_call(call)
        for detail in status.details:
            if detail.Unpack(wanted):
                break
        return wanted


@contextmanager
def refused(reason: str, code: grpc.StatusCode | None = None) -> Iterator[Refusal]:
    """Expect a call in the block to fail with `reason`."""
    refusal = Refusal()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        yield refusal
    refusal.error = caught.value
    assert (reason_of(caught.value), code) == (reason, code and caught.value.code()), caught.value.details()


async def all_refused(reason: str, *calls: tuple[Any, Any]) -> None:
    """Expect each method to refuse its request."""
    for method, request in calls:
        with refused(reason):
            await method(request)


def unknown_id(prefix: str) -> str:
    return format_id(prefix, uuid_utils.compat.uuid7())


def uuid_from(text: str) -> UUID:
    return parse_id(text.split("_")[0], text)


async def an_agent(client: Client, *tools: str, name: str = "Agent", **spec: Any) -> agent_pb2.Agent:
    request = agent_service_pb2.CreateAgentRequest(display_name=name, spec=agent_pb2.AgentSpec(tools=tools, **spec))
    return (await client.agents.CreateAgent(request)).agent


async def a_document(client: Client, project_id: str) -> document_pb2.Document:
    request = document_service_pb2.PutDocumentRequest(project_id=project_id, title="Title", text="Some text.")
    return (await client.documents.PutDocument(request)).document


async def a_task(client: Client, project_id: str) -> task_pb2.Task:
    request = task_service_pb2.CreateTaskRequest(project_id=project_id, title="Title")
    return (await client.tasks.CreateTask(request)).task
