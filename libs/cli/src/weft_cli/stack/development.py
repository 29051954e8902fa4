"""The development tenant and its API key, made through the public TenantService with the operator's key."""

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from weft_cli.stack.errors import StackError
from weft_cli.stack.keys import write_private
from weft_cli.stack.stack import Stack

if TYPE_CHECKING:
    import grpc
    from weft.tenants.v1.tenant_service_pb2_grpc import TenantServiceStub

FILE = "development.json"
DISPLAY_NAME = "Development"
CALL_SECONDS = 20.0
OPENS_WITHIN_SECONDS = 10.0
SCOPES = (
    *("agents.read", "agents.write", "projects.read", "projects.write", "documents.read", "documents.write"),
    *("tasks.read", "tasks.write", "threads.read", "threads.write", "runs.read", "runs.write"),
    *("tools.read", "tools.execute", "usage.read", "models.read", "models.write"),
)


@dataclass(frozen=True)
class Development:
    tenant_id: str
    api_key: str = field(repr=False)


def set_up_development(stack: Stack) -> Development:
    """Return the tenant and key of the stack's folder, made when they are not there or open nothing any more.

    Raises: StackError: the services refused.
    """
    import grpc  # late, as everywhere in the stack: nothing needs it before the members run

    path = stack.data_dir / FILE
    with grpc.insecure_channel(stack.address("gateway")) as channel:
        try:
            known = _find_working(channel, path)
            if known is not None:
                return known
            made = _make(channel, stack.operator_key)
            write_private(path, asdict(made))
            _wait_open(channel, made.api_key)
        except grpc.RpcError as fault:
            raise StackError(f"the development tenant could not be set up: {fault}") from fault
    return made


def _find_working(channel: "grpc.Channel", path: Path) -> Development | None:
    if not path.exists():
        return None
    known = Development(**json.loads(path.read_text()))
    return known if _opens(channel, known.api_key) else None


def _make(channel: "grpc.Channel", operator_key: str) -> Development:
    from weft.tenants.v1 import tenant_service_pb2 as pb
    from weft.tenants.v1.tenant_service_pb2_grpc import TenantServiceStub

    tenants, metadata = TenantServiceStub(channel), (("x-api-key", operator_key),)
    tenant_id = _find_tenant(tenants, metadata)
    if tenant_id is None:
        request = pb.CreateTenantRequest(display_name=DISPLAY_NAME)
        tenant_id = tenants.CreateTenant(request, metadata=metadata, timeout=CALL_SECONDS).tenant.tenant_id
    wanted = pb.CreateApiKeyRequest(tenant_id=tenant_id, display_name="weft up", scopes=SCOPES)
    return Development(tenant_id, tenants.CreateApiKey(wanted, metadata=metadata, timeout=CALL_SECONDS).secret)


def _find_tenant(tenants: "TenantServiceStub", metadata: tuple[tuple[str, str], ...]) -> str | None:
    """One may be left by a start that was cut short before it was written down."""
    from weft.tenants.v1 import tenant_service_pb2 as pb

    page = tenants.ListTenants(pb.ListTenantsRequest(page_size=1000), metadata=metadata, timeout=CALL_SECONDS)
    return next((tenant.tenant_id for tenant in page.tenants if tenant.display_name == DISPLAY_NAME), None)


def _wait_open(channel: "grpc.Channel", api_key: str) -> None:
    """A gateway may remember for a second that it does not know the key."""
    until = time.monotonic() + OPENS_WITHIN_SECONDS
    while not _opens(channel, api_key):
        if time.monotonic() > until:
            raise StackError("the new development key opens nothing")
        time.sleep(0.1)


def _opens(channel: "grpc.Channel", api_key: str) -> bool:
    import grpc
    from weft.projects.v1 import project_service_pb2 as pb
    from weft.projects.v1.project_service_pb2_grpc import ProjectServiceStub

    try:
        ProjectServiceStub(channel).ListProjects(
            pb.ListProjectsRequest(page_size=1), metadata=(("x-api-key", api_key),), timeout=CALL_SECONDS
        )
    except grpc.RpcError as fault:
        if fault.code() == grpc.StatusCode.UNAUTHENTICATED:
            return False
        raise
    return True
