"""The public services, and which service each is passed on to."""

from collections.abc import Sequence
from typing import Final

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from weft.agents.v1 import agent_service_pb2
from weft.documents.v1 import document_service_pb2
from weft.gateway.v1 import agent_gateway_service_pb2
from weft.projects.v1 import project_service_pb2
from weft.runs.v1 import admission_service_pb2, run_service_pb2
from weft.tasks.v1 import task_service_pb2
from weft.tenants.v1 import model_endpoint_service_pb2, tenant_service_pb2
from weft.threads.v1 import thread_service_pb2
from weft.tools.v1 import tool_service_pb2
from weft.usage.v1 import usage_service_pb2
from weft_grpckit.contract import contract_of

from weft_gateway.forwarding import Route, routes_to

GATEWAY: Final[ServiceDescriptor] = agent_gateway_service_pb2.DESCRIPTOR.services_by_name["AgentGateway"]
OF_THREADS: Final[Sequence[ServiceDescriptor]] = (
    agent_service_pb2.DESCRIPTOR.services_by_name["AgentService"],
    project_service_pb2.DESCRIPTOR.services_by_name["ProjectService"],
    document_service_pb2.DESCRIPTOR.services_by_name["DocumentService"],
    task_service_pb2.DESCRIPTOR.services_by_name["TaskService"],
    thread_service_pb2.DESCRIPTOR.services_by_name["ThreadService"],
    run_service_pb2.DESCRIPTOR.services_by_name["RunService"],
    tenant_service_pb2.DESCRIPTOR.services_by_name["TenantService"],
    model_endpoint_service_pb2.DESCRIPTOR.services_by_name["ModelEndpointService"],
    usage_service_pb2.DESCRIPTOR.services_by_name["UsageService"],
)
OF_TOOLS: Final[Sequence[ServiceDescriptor]] = (tool_service_pb2.DESCRIPTOR.services_by_name["ToolService"],)
SERVICES: Final = (GATEWAY, *OF_THREADS, *OF_TOOLS)

_ADMISSION: Final = admission_service_pb2.DESCRIPTOR.services_by_name["AdmissionService"]


def public_routes(threads: grpc.aio.Channel, tools: grpc.aio.Channel) -> list[Route]:
    """Return every public method that is passed on. InitiateAgent's fields are InitiateRun's, number by number."""
    initiate = contract_of(GATEWAY.methods_by_name["InitiateAgent"])
    admission = contract_of(_ADMISSION.methods_by_name["InitiateRun"])
    return [
        Route(initiate, threads, admission.path, _initiated),
        *routes_to(threads, OF_THREADS),
        *routes_to(tools, OF_TOOLS),
    ]


def _initiated(response: bytes) -> bytes:
    """Return what InitiateAgent shows of an InitiateRunResponse: whoever sends its internal fields gets none back."""
    public = agent_gateway_service_pb2.InitiateAgentResponse.FromString(response)
    public.DiscardUnknownFields()
    return public.SerializeToString()
