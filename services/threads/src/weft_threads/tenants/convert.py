"""Tenants and API keys between the contract and values."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from weft.tenants.v1 import tenant_pb2 as pb
from weft.tenants.v1 import tenant_service_pb2 as service_pb
from weft_core.ids import format_id, parse_id

from weft_threads.masks import require_filled, wanted_paths
from weft_threads.tenants.tenant import (
    DEFAULT_ACTIVE_RUNS,
    DEFAULT_QUEUED_RUNS_PER_THREAD,
    DEFAULT_THREADS,
    ApiKey,
    NewApiKey,
    Tenant,
)
from weft_threads.times import datetime_of, timestamp

_DEFAULTS: Final = {
    "max_queued_runs_per_thread": DEFAULT_QUEUED_RUNS_PER_THREAD,
    "max_active_runs": DEFAULT_ACTIVE_RUNS,
    "max_threads": DEFAULT_THREADS,
}
_LIMIT_PATHS: Final = tuple(f"limits.{name}" for name in _DEFAULTS)
_WHOLE_PATHS: Final = ("display_name", "limits", "default_agent_id")


def tenant_to_proto(tenant: Tenant) -> pb.Tenant:
    return pb.Tenant(
        tenant_id=format_id("ten", tenant.tenant_id),
        display_name=tenant.display_name,
        limits=pb.TenantLimits(
            max_queued_runs_per_thread=tenant.max_queued_runs_per_thread,
            max_active_runs=tenant.max_active_runs,
            max_threads=tenant.max_threads,
        ),
        default_agent_id=format_id("agt", tenant.default_agent_id),
        default_project_id=format_id("prj", tenant.default_project_id),
        create_time=timestamp(tenant.create_time),
        update_time=timestamp(tenant.update_time),
        created_by=tenant.created_by,
    )


def limits_from(limits: pb.TenantLimits, names: Collection[str] = tuple(_DEFAULTS)) -> Mapping[str, int]:
    return {name: getattr(limits, name) or _DEFAULTS[name] for name in names}


def changes_from(request: service_pb.UpdateTenantRequest) -> Mapping[str, Any]:
    """Return the columns to change."""
    paths = wanted_paths(request, (*_WHOLE_PATHS, *_LIMIT_PATHS), implied=_WHOLE_PATHS)
    require_filled(request, paths, ["display_name", "default_agent_id"])
    names = [name for name in _DEFAULTS if "limits" in paths or f"limits.{name}" in paths]
    changes: dict[str, Any] = dict(limits_from(request.limits, names))
    if "display_name" in paths:
        changes["display_name"] = request.display_name
    if "default_agent_id" in paths:
        changes["default_agent_id"] = parse_id("agt", request.default_agent_id, "default_agent_id")
    return changes


def new_api_key_from(request: service_pb.CreateApiKeyRequest) -> NewApiKey:
    return NewApiKey(
        tenant_id=parse_id("ten", request.tenant_id, "tenant_id"),
        display_name=request.display_name,
        scopes=tuple(request.scopes),
        expire_time=datetime_of(request.expire_time) if request.HasField("expire_time") else None,
    )


def api_key_to_proto(key: ApiKey) -> pb.ApiKey:
    return pb.ApiKey(
        api_key_id=format_id("key", key.api_key_id),
        tenant_id=format_id("ten", key.tenant_id),
        display_name=key.display_name,
        scopes=key.scopes,
        create_time=timestamp(key.create_time),
        expire_time=timestamp(key.expire_time),
        revoke_time=timestamp(key.revoke_time),
        created_by=key.created_by,
    )
