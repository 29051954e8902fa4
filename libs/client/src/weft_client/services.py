"""The generated stubs of all services, made when first asked for: `client.threads.GetThread(…)`."""

from functools import cached_property
from typing import TYPE_CHECKING

import grpc
from weft.agents.v1.agent_service_pb2_grpc import AgentServiceStub
from weft.documents.v1.document_service_pb2_grpc import DocumentServiceStub
from weft.gateway.v1.agent_gateway_service_pb2_grpc import AgentGatewayStub
from weft.projects.v1.project_service_pb2_grpc import ProjectServiceStub
from weft.runs.v1.run_service_pb2_grpc import RunServiceStub
from weft.tasks.v1.task_service_pb2_grpc import TaskServiceStub
from weft.tenants.v1.model_endpoint_service_pb2_grpc import ModelEndpointServiceStub
from weft.tenants.v1.tenant_service_pb2_grpc import TenantServiceStub
from weft.threads.v1.thread_service_pb2_grpc import ThreadServiceStub
from weft.tools.v1.tool_service_pb2_grpc import ToolServiceStub
from weft.usage.v1.usage_service_pb2_grpc import UsageServiceStub

if TYPE_CHECKING:
    from weft.agents.v1.agent_service_pb2_grpc import AgentServiceAsyncStub
    from weft.documents.v1.document_service_pb2_grpc import DocumentServiceAsyncStub
    from weft.gateway.v1.agent_gateway_service_pb2_grpc import AgentGatewayAsyncStub
    from weft.projects.v1.project_service_pb2_grpc import ProjectServiceAsyncStub
    from weft.runs.v1.run_service_pb2_grpc import RunServiceAsyncStub
    from weft.tasks.v1.task_service_pb2_grpc import TaskServiceAsyncStub
    from weft.tenants.v1.model_endpoint_service_pb2_grpc import ModelEndpointServiceAsyncStub
    from weft.tenants.v1.tenant_service_pb2_grpc import TenantServiceAsyncStub
    from weft.threads.v1.thread_service_pb2_grpc import ThreadServiceAsyncStub
    from weft.tools.v1.tool_service_pb2_grpc import ToolServiceAsyncStub
    from weft.usage.v1.usage_service_pb2_grpc import UsageServiceAsyncStub


class Services:
    """Each call is made with the client's key and time; one that reads is repeated while the server is away."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel

    @cached_property
    def agents(self) -> AgentServiceStub:
        return AgentServiceStub(self._channel)

    @cached_property
    def documents(self) -> DocumentServiceStub:
        return DocumentServiceStub(self._channel)

    @cached_property
    def gateway(self) -> AgentGatewayStub:
        return AgentGatewayStub(self._channel)

    @cached_property
    def model_endpoints(self) -> ModelEndpointServiceStub:
        return ModelEndpointServiceStub(self._channel)

    @cached_property
    def projects(self) -> ProjectServiceStub:
        return ProjectServiceStub(self._channel)

    @cached_property
    def runs(self) -> RunServiceStub:
        return RunServiceStub(self._channel)

    @cached_property
    def tasks(self) -> TaskServiceStub:
        return TaskServiceStub(self._channel)

    @cached_property
    def tenants(self) -> TenantServiceStub:
        return TenantServiceStub(self._channel)

    @cached_property
    def threads(self) -> ThreadServiceStub:
        return ThreadServiceStub(self._channel)

    @cached_property
    def tools(self) -> ToolServiceStub:
        return ToolServiceStub(self._channel)

    @cached_property
    def usage(self) -> UsageServiceStub:
        return UsageServiceStub(self._channel)


class AsyncServices:
    """As `Services`; each call gives a coroutine."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    @cached_property
    def agents(self) -> "AgentServiceAsyncStub":
        return AgentServiceStub(self._channel)

    @cached_property
    def documents(self) -> "DocumentServiceAsyncStub":
        return DocumentServiceStub(self._channel)

    @cached_property
    def gateway(self) -> "AgentGatewayAsyncStub":
        return AgentGatewayStub(self._channel)

    @cached_property
    def model_endpoints(self) -> "ModelEndpointServiceAsyncStub":
        return ModelEndpointServiceStub(self._channel)

    @cached_property
    def projects(self) -> "ProjectServiceAsyncStub":
        return ProjectServiceStub(self._channel)

    @cached_property
    def runs(self) -> "RunServiceAsyncStub":
        return RunServiceStub(self._channel)

    @cached_property
    def tasks(self) -> "TaskServiceAsyncStub":
        return TaskServiceStub(self._channel)

    @cached_property
    def tenants(self) -> "TenantServiceAsyncStub":
        return TenantServiceStub(self._channel)

    @cached_property
    def threads(self) -> "ThreadServiceAsyncStub":
        return ThreadServiceStub(self._channel)

    @cached_property
    def tools(self) -> "ToolServiceAsyncStub":
        return ToolServiceStub(self._channel)

    @cached_property
    def usage(self) -> "UsageServiceAsyncStub":
        return UsageServiceStub(self._channel)
