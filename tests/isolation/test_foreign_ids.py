"""Another tenant's ids are answered exactly like ids that do not exist: same code, reason, message and details."""

from dataclasses import dataclass
from typing import Any, Final

import pytest
from every_rpc.answers import Answer
from every_rpc.catalogue import IdField, Rpc, all_rpcs
from every_rpc.recipes import RECIPES, Recipe
from every_rpc.requests import changed, value_at, with_token
from every_rpc.world import Estate, World, unknown_id
from google.protobuf.message import Message

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.row("E3", "G9")]

# Fields that say where to look: with an id that does not exist nothing is found there, and that is no error. For
# runners and the gateway, who name many runs at once, a run that is not there is left out of the answer.
FINDS_NOTHING: Final = {
    "ListThreads": {"project_id", "agent_id"},
    "ListRuns": {"thread_id", "agent_id"},
    "QueryUsage": {"agent_id", "project_id"},
    "QueryToolUsage": {"agent_id"},
    "GetHeads": {"runs.tenant_id", "runs.run_id", "threads.tenant_id", "threads.thread_id"},
    "Commit": {"entries.tenant_id", "entries.run_id"},
    "Release": {"runs.tenant_id", "runs.run_id"},
}
PLACES: Final = ("gateway", "inner")
PAGED: Final = [rpc for rpc in all_rpcs() if rpc.has_pages and rpc.contract.scope != "tenants.admin"]
CELLS: Final = [
    pytest.param(recipe, place, id=f"{recipe}-{place}")
    for recipe in RECIPES
    for place in PLACES
    if recipe.rpc.id_fields and (recipe.rpc.is_inner if place == "inner" else recipe.rpc.is_public)
]


@dataclass
class Asker:
    """Asks one RPC in the name of a tenant, at the edge or behind it."""

    world: World
    rpc: Rpc
    place: str

    async def ask(self, who: Estate, request: Message, run_token: str = "") -> Answer:
        if self.place == "gateway" and not run_token:
            return await self.world.ask_gateway(self.rpc, request, self.world.key_of(self.rpc, who))
        return await self.world.ask_inner(self.rpc, request, run_token or self.world.token_of(self.rpc, who))


@pytest.mark.parametrize(("recipe", "place"), CELLS)
async def test_each_foreign_id_is_answered_like_an_unknown_one(
    world: World, owner: Estate, stranger: Estate, recipe: Recipe, place: str
) -> None:
    asker = Asker(world, recipe.rpc, place)
    theirs = await recipe.cook(owner)
    for id_field in recipe.rpc.id_fields:
        own = await recipe.cook(stranger)
        foreign = value_at(theirs.request, id_field.path)
        if not foreign or not _is_a_tenants(recipe.rpc, id_field):
            continue
        told = await asker.ask(stranger, changed(own.request, {id_field.path: foreign}), own.run_token)
        unknown = changed(own.request, {id_field.path: unknown_id(id_field.prefix)})
        assert told.shape == (await asker.ask(stranger, unknown, own.run_token)).shape
        _tells_nothing(recipe.rpc, told, owner, [id_field])
        assert (await asker.ask(stranger, own.request, own.run_token)).is_ok  # only the id was wrong
    assert (await asker.ask(owner, theirs.request, theirs.run_token)).is_ok  # and nothing had happened to it


@pytest.mark.parametrize(("recipe", "place"), CELLS)
async def test_a_whole_foreign_request_is_answered_like_one_of_unknown_ids(
    world: World, owner: Estate, stranger: Estate, recipe: Recipe, place: str
) -> None:
    if not _is_of_a_tenant(recipe.rpc):
        return  # the operator and the services have no tenant of their own: the cells above are theirs
    asker = Asker(world, recipe.rpc, place)
    theirs, own = await recipe.cook(owner), await recipe.cook(stranger)
    asked = [field for field in recipe.rpc.id_fields if value_at(theirs.request, field.path)]
    if not asked:
        return  # a run's call: its token names all
    unknown = changed(theirs.request, {field.path: unknown_id(field.prefix) for field in asked})
    told = await asker.ask(stranger, theirs.request, own.run_token)
    assert told.shape == (await asker.ask(stranger, unknown, own.run_token)).shape
    _tells_nothing(recipe.rpc, told, owner, asked)
    assert (await asker.ask(owner, theirs.request, theirs.run_token)).is_ok


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("rpc", PAGED, ids=str)
async def test_a_foreign_page_token_opens_nothing(
    world: World, owner: Estate, stranger: Estate, rpc: Rpc, place: str
) -> None:
    recipe, asker = next(each for each in RECIPES if each.rpc == rpc), Asker(world, rpc, place)
    theirs, own = (await recipe.cook(owner)).request, (await recipe.cook(stranger)).request
    page = await asker.ask(owner, theirs)
    token: Any = page.responses[0]
    assert token.next_page_token, "there are two of everything, and the page has one"
    for request in (theirs, own):
        told = await asker.ask(stranger, with_token(request, token.next_page_token))
        assert not told.is_ok
        assert told.reason == "PAGE_TOKEN_INVALID" or told.code.name == "NOT_FOUND"
    assert (await asker.ask(owner, with_token(theirs, token.next_page_token))).is_ok


@pytest.mark.parametrize("rpc", PAGED, ids=str)
async def test_a_list_shows_nothing_of_another_tenant(world: World, owner: Estate, stranger: Estate, rpc: Rpc) -> None:
    if rpc.name == "ToolService/ListTools":
        return  # tools are everybody's
    recipe, asker = next(each for each in RECIPES if each.rpc == rpc), Asker(world, rpc, "gateway")
    request: Any = (await recipe.cook(stranger)).request
    request.page_size = 1000
    filtered = await asker.ask(stranger, request)
    assert filtered.is_ok, str(filtered)
    everything = await asker.ask(stranger, changed(request, {field.path: "" for field in rpc.id_fields}))
    assert everything.is_ok or everything.reason == "INVALID_FIELDS", "a filter that can be left out, or not"
    assert not _leaks(filtered, owner)
    assert not _leaks(everything, owner)


def _tells_nothing(rpc: Rpc, told: Answer, owner: Estate, asked: list[IdField]) -> None:
    finds = FINDS_NOTHING.get(rpc.method.name, set())
    if {field.path for field in asked} <= finds:
        assert told.is_ok, str(told)
    else:
        # OUT_OF_RANGE: a cursor that the thread's own tenant was never given.
        assert told.code.name in ("NOT_FOUND", "FAILED_PRECONDITION", "OUT_OF_RANGE"), str(told)
        assert told.reason, "an answer without a reason"
    assert not _leaks(told, owner)


def _leaks(answer: Answer, owner: Estate) -> list[str]:
    """Return what of the owner's shows in an answer that is not theirs."""
    text = " ".join([answer.message, *answer.metadata.values(), *(str(each) for each in answer.responses)])
    secrets = (owner.tenant.display_name, owner.project_id, owner.agent_id, owner.tenant.default_project_id)
    echo = answer.message if not answer.is_ok else ""
    return [each for each in secrets if each in text and each not in echo]


def _is_a_tenants(rpc: Rpc, id_field: IdField) -> bool:
    """Runners belong to no tenant, and the operator may name any."""
    return id_field.prefix != "rnr" and not (id_field.prefix == "ten" and rpc.contract.scope == "tenants.admin")


def _is_of_a_tenant(rpc: Rpc) -> bool:
    return not rpc.contract.service_callers and rpc.contract.scope != "tenants.admin"
