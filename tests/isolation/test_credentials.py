"""Every RPC × every credential that must not open it: at the edge, and straight to the inner port."""

from collections.abc import Awaitable, Callable

import pytest
from every_rpc.answers import Answer, Metadata, ask, ask_path
from every_rpc.catalogue import SERVED_BY, Rpc, all_rpcs
from every_rpc.intruders import AT_THE_EDGE, BEHIND_IT, Intruder, Intruders
from every_rpc.recipes import Asked, recipes_of
from every_rpc.world import Estate, World

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.row("E3", "G9")]

PUBLIC = [rpc for rpc in all_rpcs() if rpc.is_public]
INNER = [rpc for rpc in all_rpcs() if rpc.is_inner]
INTERNAL = [rpc for rpc in all_rpcs() if not rpc.is_public]


@pytest.mark.parametrize("rpc", PUBLIC, ids=str)
async def test_the_edge_refuses_every_intruder(intruders: Intruders, owner: Estate, rpc: Rpc) -> None:
    world, recipe = intruders.world, recipes_of(rpc)[0]
    key = world.key_of(rpc, owner)
    _succeeded(await world.ask_gateway(rpc, (await recipe.cook(owner)).request, key))
    asked = await recipe.cook(owner)

    async def intrude(metadata: Metadata) -> Answer:
        return await ask(world.channels["gateway"], rpc, asked.request, metadata)

    await _all_refused(intruders, rpc, asked, AT_THE_EDGE, intrude)
    _succeeded(await world.ask_gateway(rpc, asked.request, key))  # nothing had happened to it


@pytest.mark.parametrize("rpc", INNER, ids=str)
async def test_the_inner_port_refuses_every_intruder(intruders: Intruders, owner: Estate, rpc: Rpc) -> None:
    world, recipe = intruders.world, recipes_of(rpc)[0]
    _succeeded(await _owner_asks(world, owner, rpc, await recipe.cook(owner)))
    asked = await recipe.cook(owner)

    async def intrude(metadata: Metadata) -> Answer:
        return await ask(world.channels[SERVED_BY[rpc.service]], rpc, asked.request, metadata)

    await _all_refused(intruders, rpc, asked, BEHIND_IT, intrude)
    _succeeded(await _owner_asks(world, owner, rpc, asked))


@pytest.mark.parametrize("rpc", INTERNAL, ids=str)
async def test_the_gateway_does_not_know_internal_rpcs(world: World, owner: Estate, rpc: Rpc) -> None:
    asked = await recipes_of(rpc)[0].cook(owner)
    token = asked.run_token or world.token_of(rpc, owner)
    for key in (owner.key, world.stack.operator_key):
        answer = await ask_path(
            world.channels["gateway"],
            rpc.contract.path,
            asked.request.SerializeToString(),
            (("x-api-key", key), ("weft-token", token)),
        )
        assert answer.verdict == ("UNIMPLEMENTED", "METHOD_UNKNOWN")
    _succeeded(await world.ask_inner(rpc, asked.request, token))


async def _all_refused(
    intruders: Intruders,
    rpc: Rpc,
    asked: Asked,
    kinds: tuple[Intruder, ...],
    intrude: Callable[[Metadata], Awaitable[Answer]],
) -> None:
    wrong = {}
    for intruder in kinds:
        if intruder.applies(rpc):
            answer = await intrude(intruder.credential(intruders, rpc, asked))
            if answer.verdict != intruder.verdict or answer.responses:
                wrong[intruder.name] = f"{answer}, not {intruder.verdict}"
            if answer.reason == "SCOPE_MISSING":
                assert answer.metadata == {"scope": rpc.contract.scope}
    assert not wrong, "\n".join(f"{rpc} for {name}: {told}" for name, told in wrong.items())


async def _owner_asks(world: World, owner: Estate, rpc: Rpc, asked: Asked) -> Answer:
    return await world.ask_inner(rpc, asked.request, asked.run_token or world.token_of(rpc, owner))


def _succeeded(answer: Answer) -> None:
    assert answer.is_ok, str(answer)
