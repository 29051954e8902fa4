"""Recipes of tenants and credentials."""

import hashlib

from google.protobuf.message import Message
from weft.tenants.v1 import credential_service_pb2 as credentials
from weft.tenants.v1 import model_endpoint_service_pb2 as endpoints
from weft.tenants.v1 import tenant_service_pb2 as tenants

from every_rpc.recipe import Asked, plain, recipe
from every_rpc.world import Estate


@plain(tenants.CreateTenantRequest)
def _(estate: Estate) -> Message:
    return tenants.CreateTenantRequest(display_name="new")


@plain(tenants.GetTenantRequest)
def _(estate: Estate) -> Message:
    return tenants.GetTenantRequest(tenant_id=estate.tenant_id)


@plain(tenants.ListTenantsRequest)
def _(estate: Estate) -> Message:
    return tenants.ListTenantsRequest(page_size=1)


@plain(tenants.UpdateTenantRequest)
def _(estate: Estate) -> Message:
    return tenants.UpdateTenantRequest(tenant_id=estate.tenant_id, default_agent_id=estate.tenant.default_agent_id)


@recipe(tenants.DeleteTenantRequest)
async def delete_tenant(estate: Estate) -> Asked:
    made = await estate.do(tenants.CreateTenantRequest(display_name="short-lived"))
    return Asked(tenants.DeleteTenantRequest(tenant_id=made.tenant.tenant_id))


@plain(tenants.CreateApiKeyRequest)
def _(estate: Estate) -> Message:
    return tenants.CreateApiKeyRequest(tenant_id=estate.tenant_id, display_name="new", scopes=["runs.read"])


@plain(tenants.ListApiKeysRequest)
def _(estate: Estate) -> Message:
    return tenants.ListApiKeysRequest(tenant_id=estate.tenant_id, page_size=1)


@recipe(tenants.RevokeApiKeyRequest)
async def revoke_api_key(estate: Estate) -> Asked:
    key = (await estate.make_key()).api_key
    return Asked(tenants.RevokeApiKeyRequest(tenant_id=estate.tenant_id, api_key_id=key.api_key_id))


@plain(credentials.ResolveApiKeyRequest)
def _(estate: Estate) -> Message:
    return credentials.ResolveApiKeyRequest(key_sha256=hashlib.sha256(estate.key.encode()).digest())


@plain(endpoints.PutModelEndpointRequest)
def _(estate: Estate) -> Message:
    return endpoints.PutModelEndpointRequest(api_key="sk-a-key-of-a-tenant")


@plain(endpoints.GetModelEndpointRequest)
def _(estate: Estate) -> Message:
    return endpoints.GetModelEndpointRequest()


@plain(endpoints.DeleteModelEndpointRequest)
def _(estate: Estate) -> Message:
    return endpoints.DeleteModelEndpointRequest()
