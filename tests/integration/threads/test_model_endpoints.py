"""A tenant's key for the model provider: kept sealed, shown by its end, given to the tenant's own runs only."""

import asyncpg
import pytest
from runs_world import superuser_url
from threads_world import ThreadsWorld, all_refused, refused, unknown_id, uuid_from
from weft.runs.v1 import run_queue_service_pb2 as queue_pb
from weft.tenants.v1 import model_endpoint_service_pb2 as pb
from weft.tenants.v1 import tenant_service_pb2
from weft_cli.stack import Stack

KEY = "sk-a-key-of-the-tenant-1234"


async def key_of(world: ThreadsWorld, tenant_id: str) -> str:
    """Return what a run of the tenant is given."""
    token = world.signer.run_token(
        uuid_from(tenant_id),
        "key_test",
        ["models.use"],
        run_id=uuid_from(unknown_id("run")),
        epoch=1,
        agent_id=uuid_from(unknown_id("agt")),
        lifetime_seconds=60,
    )
    return (await world.client(token).queue.GetModelKey(queue_pb.GetModelKeyRequest())).api_key


@pytest.mark.row("E2")
async def test_a_key_is_sealed_shown_by_its_end_and_given_to_runs(world: ThreadsWorld, stack: Stack) -> None:
    tenant, client = await world.tenant()
    other, _ = await world.tenant()
    assert await key_of(world, tenant.tenant_id) == ""
    got = await client.model_endpoints.GetModelEndpoint(pb.GetModelEndpointRequest())
    assert not got.HasField("model_endpoint")

    put = await client.model_endpoints.PutModelEndpoint(pb.PutModelEndpointRequest(api_key=KEY))
    assert (put.model_endpoint.api_key_suffix, put.model_endpoint.created_by) == ("1234", "key_test")
    assert KEY not in str(put)
    got = await client.model_endpoints.GetModelEndpoint(pb.GetModelEndpointRequest())
    assert got.model_endpoint == put.model_endpoint
    assert await key_of(world, tenant.tenant_id) == KEY
    assert await key_of(world, other.tenant_id) == ""
    admin = await asyncpg.connect(superuser_url(stack))
    stored = await admin.fetchval(
        "SELECT sealed_key FROM model_endpoints WHERE tenant_id = $1", uuid_from(tenant.tenant_id)
    )
    await admin.close()
    assert KEY.encode() not in stored

    await client.model_endpoints.PutModelEndpoint(pb.PutModelEndpointRequest(api_key="short"))
    got = await client.model_endpoints.GetModelEndpoint(pb.GetModelEndpointRequest())
    assert got.model_endpoint.api_key_suffix == "", "of a short key the end would say too much"
    assert await key_of(world, tenant.tenant_id) == "short"
    for _ in range(2):
        await client.model_endpoints.DeleteModelEndpoint(pb.DeleteModelEndpointRequest())
    assert await key_of(world, tenant.tenant_id) == ""


async def test_a_key_moved_to_another_tenant_does_not_open(world: ThreadsWorld, stack: Stack) -> None:
    tenant, client = await world.tenant()
    thief, _ = await world.tenant()
    await client.model_endpoints.PutModelEndpoint(pb.PutModelEndpointRequest(api_key=KEY))
    admin = await asyncpg.connect(superuser_url(stack))
    await admin.execute(
        "INSERT INTO model_endpoints SELECT $1, sealed_key, key_suffix, update_time, created_by FROM model_endpoints "
        "WHERE tenant_id = $2",
        uuid_from(thief.tenant_id),
        uuid_from(tenant.tenant_id),
    )
    await admin.close()
    with refused("INTERNAL") as refusal:
        await key_of(world, thief.tenant_id)
    assert KEY not in refusal.message


async def test_keys_take_their_scopes_and_go_with_the_tenant(world: ThreadsWorld) -> None:
    tenant, client = await world.tenant()
    reader = world.caller(tenant.tenant_id, ["models.read"])
    await all_refused(
        "SCOPE_MISSING",
        (reader.model_endpoints.PutModelEndpoint, pb.PutModelEndpointRequest(api_key=KEY)),
        (reader.model_endpoints.DeleteModelEndpoint, pb.DeleteModelEndpointRequest()),
        (client.queue.GetModelKey, queue_pb.GetModelKeyRequest()),
    )
    for wrong in ("", "with space", "sk-…", "x" * 1001):
        with refused("INVALID_FIELDS") as refusal:
            await client.model_endpoints.PutModelEndpoint(pb.PutModelEndpointRequest(api_key=wrong))
        assert refusal.fields == {"api_key"}
    await client.model_endpoints.PutModelEndpoint(pb.PutModelEndpointRequest(api_key=KEY))
    await world.operator.tenants.DeleteTenant(tenant_service_pb2.DeleteTenantRequest(tenant_id=tenant.tenant_id))
