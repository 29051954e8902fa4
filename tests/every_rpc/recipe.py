"""The register of recipes."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias
from uuid import uuid4

from google.protobuf.message import Message

from every_rpc.catalogue import Rpc
from every_rpc.world import BY_REQUEST, Estate


@dataclass(frozen=True)
class Asked:
    """A request, and the run's token where it takes one."""

    request: Message
    run_token: str = ""


Cook: TypeAlias = Callable[[Estate], Awaitable[Asked]]


@dataclass(frozen=True)
class Recipe:
    rpc: Rpc
    variant: str
    cook: Cook

    def __str__(self) -> str:
        return f"{self.rpc.name}({self.variant})" if self.variant else self.rpc.name


RECIPES: list[Recipe] = []


def recipe(request: type[Message], variant: str = "") -> Callable[[Cook], Cook]:
    """Register what makes a request that succeeds. Each call of it makes a fresh one: some succeed only once."""

    def register(cook: Cook) -> Cook:
        RECIPES.append(Recipe(BY_REQUEST[request.DESCRIPTOR.full_name], variant, cook))
        return cook

    return register


def plain(request: type[Message], variant: str = "") -> Callable[[Callable[[Estate], Message]], None]:
    """Register a recipe that needs nothing but what the estate has."""

    def register(made: Callable[[Estate], Message]) -> None:
        async def cook(estate: Estate) -> Asked:
            return Asked(made(estate))

        recipe(request, variant)(cook)

    return register


def recipes_of(rpc: Rpc) -> list[Recipe]:
    return [each for each in RECIPES if each.rpc == rpc]


def new_key() -> str:
    return str(uuid4())
