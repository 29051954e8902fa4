"""weft.tenants.v1.TenantService and CredentialService."""

from weft.tenants.v1 import credential_service_pb2 as credential_pb
from weft.tenants.v1 import credential_service_pb2_grpc as credential_grpc
from weft.tenants.v1 import tenant_service_pb2 as pb
from weft.tenants.v1 import tenant_service_pb2_grpc as grpc_pb
from weft_core.ids import format_id, parse_id
from weft_grpckit.context import Context, caller_of

from weft_threads.paging import Pager, PageRequest, uuid_of
from weft_threads.tenants import convert
from weft_threads.tenants.tenants import Tenants
from weft_threads.times import timestamp


class TenantServicer(grpc_pb.TenantServiceServicer):
    def __init__(self, tenants: Tenants, pager: Pager) -> None:
        self._tenants, self._pager = tenants, pager

    async def CreateTenant(self, request: pb.CreateTenantRequest, context: Context) -> pb.CreateTenantResponse:
        limits = convert.limits_from(request.limits)
        tenant = await self._tenants.create(caller_of(context), request.display_name, limits)
        return pb.CreateTenantResponse(tenant=convert.tenant_to_proto(tenant))

    async def GetTenant(self, request: pb.GetTenantRequest, context: Context) -> pb.GetTenantResponse:
        tenant = await self._tenants.get(parse_id("ten", request.tenant_id, "tenant_id"))
        return pb.GetTenantResponse(tenant=convert.tenant_to_proto(tenant))

    async def ListTenants(self, request: pb.ListTenantsRequest, context: Context) -> pb.ListTenantsResponse:
        page = await self._pager.page(
            PageRequest(caller_of(context).tenant_id, "ListTenants", {}, request.page_size, request.page_token),
            lambda cursor, limit: self._tenants.list(uuid_of(cursor), limit),
            lambda tenant: tenant.tenant_id.bytes,
        )
        tenants = [convert.tenant_to_proto(tenant) for tenant in page.items]
        return pb.ListTenantsResponse(tenants=tenants, next_page_token=page.next_page_token)

    async def UpdateTenant(self, request: pb.UpdateTenantRequest, context: Context) -> pb.UpdateTenantResponse:
        tenant_id = parse_id("ten", request.tenant_id, "tenant_id")
        tenant = await self._tenants.update(tenant_id, convert.changes_from(request))
        return pb.UpdateTenantResponse(tenant=convert.tenant_to_proto(tenant))

    async def DeleteTenant(self, request: pb.DeleteTenantRequest, context: Context) -> pb.DeleteTenantResponse:
        await self._tenants.delete(parse_id("ten", request.tenant_id, "tenant_id"), force=request.force)
        return pb.DeleteTenantResponse()

    async def CreateApiKey(self, request: pb.CreateApiKeyRequest, context: Context) -> pb.CreateApiKeyResponse:
        key, secret = await self._tenants.create_api_key(caller_of(context), convert.new_api_key_from(request))
        return pb.CreateApiKeyResponse(api_key=convert.api_key_to_proto(key), secret=secret)

    async def ListApiKeys(self, request: pb.ListApiKeysRequest, context: Context) -> pb.ListApiKeysResponse:
        tenant_id, asker = parse_id("ten", request.tenant_id, "tenant_id"), caller_of(context).tenant_id
        filters = {"tenant_id": request.tenant_id}
        page = await self._pager.page(
            PageRequest(asker, "ListApiKeys", filters, request.page_size, request.page_token),
            lambda cursor, limit: self._tenants.list_api_keys(tenant_id, uuid_of(cursor), limit),
            lambda key: key.api_key_id.bytes,
        )
        keys = [convert.api_key_to_proto(key) for key in page.items]
        return pb.ListApiKeysResponse(api_keys=keys, next_page_token=page.next_page_token)

    async def RevokeApiKey(self, request: pb.RevokeApiKeyRequest, context: Context) -> pb.RevokeApiKeyResponse:
        tenant_id = parse_id("ten", request.tenant_id, "tenant_id")
        key = await self._tenants.revoke_api_key(tenant_id, parse_id("key", request.api_key_id, "api_key_id"))
        return pb.RevokeApiKeyResponse(api_key=convert.api_key_to_proto(key))


class CredentialServicer(credential_grpc.CredentialServiceServicer):
    def __init__(self, tenants: Tenants) -> None:
        self._tenants = tenants

    async def ResolveApiKey(
        self, request: credential_pb.ResolveApiKeyRequest, context: Context
    ) -> credential_pb.ResolveApiKeyResponse:
        found = await self._tenants.resolve_api_key(request.key_sha256)
        return credential_pb.ResolveApiKeyResponse(
            api_key_id=format_id("key", found.api_key_id),
            tenant_id=format_id("ten", found.tenant_id),
            principal=found.principal,
            scopes=found.scopes,
            expire_time=timestamp(found.expire_time),
        )
