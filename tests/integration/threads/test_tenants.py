"""TenantService and CredentialService on the real service."""

import asyncio
import hashlib
import time

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from threads_world import ThreadsWorld, all_refused, an_agent, refused, unknown_id
from weft.agents.v1 import agent_service_pb2
from weft.runs.v1 import admission_service_pb2, run_pb2
from weft.tenants.v1 import credential_service_pb2, tenant_pb2
from weft.tenants.v1 import tenant_service_pb2 as pb


def digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


async def a_key(world: ThreadsWorld, tenant_id: str, expire_time: Timestamp | None = None) -> pb.CreateApiKeyResponse:
    request = pb.CreateApiKeyRequest(
        tenant_id=tenant_id, display_name="key", scopes=["runs.read", "runs.write"], expire_time=expire_time
    )
    return await world.operator.tenants.CreateApiKey(request)


async def resolve(world: ThreadsWorld, secret: str) -> credential_service_pb2.ResolveApiKeyResponse:
    request = credential_service_pb2.ResolveApiKeyRequest(key_sha256=digest(secret))
    return await world.service("gateway").credentials.ResolveApiKey(request)


async def test_tenant_comes_with_a_project_and_an_agent_that_merges(world: ThreadsWorld) -> None:
    tenant, client = await world.tenant()
    agent = (await client.agents.GetAgent(agent_service_pb2.GetAgentRequest(agent_id=tenant.default_agent_id))).agent
    assert agent.spec.busy_strategy == run_pb2.BUSY_STRATEGY_MERGE
    assert list(agent.spec.tools) == []
    assert tenant.created_by == "operator"
    limits = tenant.limits
    assert (limits.max_queued_runs_per_thread, limits.max_active_runs, limits.max_threads) == (100, 1000, 1_000_000)
    made = await client.admission.InitiateRun(admission_service_pb2.InitiateRunRequest(text="hello"))
    assert (made.project_id, made.agent_id) == (tenant.default_project_id, tenant.default_agent_id)


async def test_update_changes_what_the_mask_names(world: ThreadsWorld) -> None:
    tenant, client = await world.tenant()
    agent = await an_agent(client)
    change = pb.UpdateTenantRequest(
        tenant_id=tenant.tenant_id,
        display_name="ignored",
        limits=tenant_pb2.TenantLimits(max_threads=3, max_active_runs=9),
        default_agent_id=agent.agent_id,
        update_mask=FieldMask(paths=["limits.max_threads", "default_agent_id"]),
    )
    changed = (await world.operator.tenants.UpdateTenant(change)).tenant
    assert (changed.limits.max_threads, changed.limits.max_active_runs) == (3, 1000)
    assert (changed.display_name, changed.default_agent_id) == (tenant.display_name, agent.agent_id)
    read = (await world.operator.tenants.GetTenant(pb.GetTenantRequest(tenant_id=tenant.tenant_id))).tenant
    assert read == changed


async def test_default_agent_must_be_the_tenants_own(world: ThreadsWorld) -> None:
    tenant, _ = await world.tenant()
    _, other = await world.tenant()
    agent = await an_agent(other)
    with refused("AGENT_NOT_FOUND"):
        await world.operator.tenants.UpdateTenant(
            pb.UpdateTenantRequest(tenant_id=tenant.tenant_id, default_agent_id=agent.agent_id)
        )


async def test_list_pages_through_all_tenants(world: ThreadsWorld) -> None:
    made = [(await world.tenant())[0].tenant_id for _ in range(5)]
    seen, token = [], ""
    while True:
        page = await world.operator.tenants.ListTenants(pb.ListTenantsRequest(page_size=2, page_token=token))
        seen += [tenant.tenant_id for tenant in page.tenants]
        token = page.next_page_token
        if not token:
            break
    assert [each for each in seen if each in made] == made
    with refused("PAGE_TOKEN_INVALID"):
        await world.operator.tenants.ListTenants(pb.ListTenantsRequest(page_token="x"))


async def test_key_opens_its_tenant_until_it_is_revoked(world: ThreadsWorld) -> None:
    tenant, _ = await world.tenant()
    made = await a_key(world, tenant.tenant_id)

    found = await resolve(world, made.secret)
    assert (found.tenant_id, found.api_key_id) == (tenant.tenant_id, made.api_key.api_key_id)
    assert (found.principal, list(found.scopes)) == (made.api_key.api_key_id, ["runs.read", "runs.write"])
    assert made.secret.startswith("weft_")
    assert len(made.secret) == 48

    revoke = pb.RevokeApiKeyRequest(tenant_id=tenant.tenant_id, api_key_id=made.api_key.api_key_id)
    revoked = (await world.operator.tenants.RevokeApiKey(revoke)).api_key
    assert revoked.HasField("revoke_time")
    with refused("API_KEY_INVALID", grpc.StatusCode.UNAUTHENTICATED):
        await resolve(world, made.secret)
    again = (await world.operator.tenants.RevokeApiKey(revoke)).api_key
    assert again.revoke_time == revoked.revoke_time


async def test_key_opens_nothing_once_it_has_expired(world: ThreadsWorld) -> None:
    tenant, _ = await world.tenant()
    soon = Timestamp()
    soon.FromNanoseconds(time.time_ns() + 1_500_000_000)
    made = await a_key(world, tenant.tenant_id, soon)
    assert (await resolve(world, made.secret)).expire_time == made.api_key.expire_time
    async with asyncio.timeout(10):
        while True:
            try:
                await resolve(world, made.secret)
            except grpc.aio.AioRpcError:
                break
            await asyncio.sleep(0.1)
    with refused("API_KEY_INVALID"):
        await resolve(world, made.secret)


async def test_keys_are_listed_without_their_secrets(world: ThreadsWorld) -> None:
    tenant, _ = await world.tenant()
    made = [await a_key(world, tenant.tenant_id) for _ in range(3)]
    listed = await world.operator.tenants.ListApiKeys(pb.ListApiKeysRequest(tenant_id=tenant.tenant_id, page_size=2))
    assert [key.api_key_id for key in listed.api_keys] == [made[2].api_key.api_key_id, made[1].api_key.api_key_id]
    assert all(each.secret.encode() not in listed.SerializeToString() for each in made)
    other, _ = await world.tenant()
    with refused("PAGE_TOKEN_INVALID"):
        await world.operator.tenants.ListApiKeys(
            pb.ListApiKeysRequest(tenant_id=other.tenant_id, page_token=listed.next_page_token)
        )


async def test_key_of_another_tenant_is_not_found(world: ThreadsWorld) -> None:
    tenant, _ = await world.tenant()
    other, _ = await world.tenant()
    made = await a_key(world, tenant.tenant_id)
    with refused("API_KEY_NOT_FOUND"):
        await world.operator.tenants.RevokeApiKey(
            pb.RevokeApiKeyRequest(tenant_id=other.tenant_id, api_key_id=made.api_key.api_key_id)
        )
    await resolve(world, made.secret)


@pytest.mark.parametrize("scopes", [[], ["tenants.admin"], ["runs.read", "runs.read"], ["*"]])
async def test_key_takes_no_scopes_but_those_of_callers(world: ThreadsWorld, scopes: list[str]) -> None:
    tenant, _ = await world.tenant()
    with refused("INVALID_FIELDS") as refusal:
        await world.operator.tenants.CreateApiKey(
            pb.CreateApiKeyRequest(tenant_id=tenant.tenant_id, display_name="key", scopes=scopes)
        )
    assert {field.partition("[")[0] for field in refusal.fields} == {"scopes"}


async def test_unknown_tenants_are_not_found(world: ThreadsWorld) -> None:
    unknown, tenants = unknown_id("ten"), world.operator.tenants
    await all_refused(
        "TENANT_NOT_FOUND",
        (tenants.GetTenant, pb.GetTenantRequest(tenant_id=unknown)),
        (tenants.UpdateTenant, pb.UpdateTenantRequest(tenant_id=unknown, display_name="x")),
        (tenants.DeleteTenant, pb.DeleteTenantRequest(tenant_id=unknown)),
        (tenants.ListApiKeys, pb.ListApiKeysRequest(tenant_id=unknown)),
        (tenants.RevokeApiKey, pb.RevokeApiKeyRequest(tenant_id=unknown, api_key_id=unknown_id("key"))),
        (
            tenants.CreateApiKey,
            pb.CreateApiKeyRequest(tenant_id=unknown, display_name="x", scopes=["runs.read"]),
        ),
    )


async def test_delete_takes_all_that_the_tenant_has_and_nothing_else(world: ThreadsWorld) -> None:
    tenant, client = await world.tenant()
    _, neighbour = await world.tenant()
    key = await a_key(world, tenant.tenant_id)
    await client.admission.InitiateRun(admission_service_pb2.InitiateRunRequest(text="hello", request_id="r"))
    with refused("TENANT_IN_USE"):
        await world.operator.tenants.DeleteTenant(pb.DeleteTenantRequest(tenant_id=tenant.tenant_id))

    await world.operator.tenants.DeleteTenant(pb.DeleteTenantRequest(tenant_id=tenant.tenant_id, force=True))

    with refused("TENANT_NOT_FOUND"):
        await world.operator.tenants.GetTenant(pb.GetTenantRequest(tenant_id=tenant.tenant_id))
    with refused("API_KEY_INVALID"):
        await resolve(world, key.secret)
    assert len((await neighbour.agents.ListAgents(agent_service_pb2.ListAgentsRequest())).agents) == 1


async def test_only_the_operator_and_the_gateway_get_in(world: ThreadsWorld) -> None:
    tenant, client = await world.tenant()
    await all_refused(
        "SCOPE_MISSING",
        (client.tenants.GetTenant, pb.GetTenantRequest(tenant_id=tenant.tenant_id)),
        (world.operator.agents.ListAgents, agent_service_pb2.ListAgentsRequest()),
    )
    request = credential_service_pb2.ResolveApiKeyRequest(key_sha256=digest("x"))
    await all_refused(
        "TOKEN_INVALID",
        (client.credentials.ResolveApiKey, request),
        (world.operator.credentials.ResolveApiKey, request),
        (world.service("tools").credentials.ResolveApiKey, request),
        (world.service("gateway").tenants.GetTenant, pb.GetTenantRequest(tenant_id=tenant.tenant_id)),
    )


@pytest.mark.parametrize("seconds", [10**15, -62_135_596_801, 1])
async def test_key_is_refused_when_its_end_is_no_time_to_come(world: ThreadsWorld, seconds: int) -> None:
    tenant = (await world.operator.tenants.CreateTenant(pb.CreateTenantRequest(display_name="t"))).tenant
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await a_key(world, tenant.tenant_id, Timestamp(seconds=seconds))
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
