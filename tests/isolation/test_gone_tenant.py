"""A tenant that is deleted while its keys are still known somewhere: its calls fail, with a reason, and see nothing."""

import pytest
from every_rpc.catalogue import all_rpcs
from every_rpc.recipes import Asked, Recipe, recipes_of
from every_rpc.world import World
from weft.tenants.v1 import tenant_service_pb2 as tenants

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.row("E3", "G9")]


async def test_calls_of_a_tenant_that_is_gone_fail_with_a_reason(world: World) -> None:
    doomed = await world.make_estate("doomed")
    asked: list[tuple[Recipe, Asked]] = []
    for rpc in all_rpcs():
        if rpc.is_inner and rpc.contract.scope not in ("", "tenants.admin"):
            asked += [(recipe, await recipe.cook(doomed)) for recipe in recipes_of(rpc)]
    await doomed.do(tenants.DeleteTenantRequest(tenant_id=doomed.tenant_id, force=True))
    wrong = {}
    for recipe, each in asked:
        told = await world.ask_inner(recipe.rpc, each.request, each.run_token or doomed.token())
        shows = any("doomed" in str(response) for response in told.responses)
        if told.code.name in ("INTERNAL", "UNKNOWN", "UNAVAILABLE") or shows:
            wrong[str(recipe)] = str(told)
    assert wrong == {}
