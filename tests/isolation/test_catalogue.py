"""The lists that the other tests here go through are whole."""

from typing import Any

import pytest
from every_rpc.catalogue import INTERNAL, SERVED_BY, Rpc, all_rpcs, all_services
from every_rpc.recipes import recipes_of
from every_rpc.requests import value_at
from every_rpc.world import Estate, World
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

pytestmark = pytest.mark.row("E3", "G9")
in_session_loop = pytest.mark.asyncio(loop_scope="session")


def test_every_service_of_the_contracts_is_known_to_the_tests() -> None:
    assert {str(service.full_name) for service in all_services()} == set(SERVED_BY)
    assert set(SERVED_BY) >= INTERNAL


@in_session_loop
@pytest.mark.parametrize("server", sorted(set(SERVED_BY.values())))
async def test_a_server_shows_exactly_its_services(world: World, server: str) -> None:
    if server == "gateway":
        expected = set(SERVED_BY) - INTERNAL
    else:
        expected = {service for service, where in SERVED_BY.items() if where == server}
    assert await _shown(world.channels[server]) == expected


@in_session_loop
@pytest.mark.parametrize("rpc", all_rpcs(), ids=str)
async def test_every_rpc_has_a_recipe_that_sets_every_id(owner: Estate, rpc: Rpc) -> None:
    requests = [(await recipe.cook(owner)).request for recipe in recipes_of(rpc)]
    assert requests, f"{rpc} has no recipe in tests/every_rpc/recipes: say how it succeeds"
    for id_field in rpc.id_fields:
        assert any(value_at(request, id_field.path) for request in requests), f"no recipe of {rpc} sets {id_field.path}"


def test_every_rpc_says_who_may_call_it() -> None:
    undecided = [rpc.name for rpc in all_rpcs() if not rpc.contract.scope and not rpc.contract.service_callers]
    assert undecided == []
    assert [rpc.name for rpc in all_rpcs() if rpc.is_public and not rpc.contract.scope] == []


async def _shown(channel: Any) -> set[str]:
    async def requests() -> Any:
        yield reflection_pb2.ServerReflectionRequest(list_services="")

    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
    async for answer in stub.ServerReflectionInfo(requests(), timeout=10):
        return {each.name for each in answer.list_services_response.service if each.name.startswith("weft.")}
    raise AssertionError("reflection did not answer")
