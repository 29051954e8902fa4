"""How each RPC succeeds for its owner: one recipe at least for every RPC, and each id field set by one of them."""

from every_rpc.recipe import RECIPES, Asked, Recipe, recipes_of
from every_rpc.recipes import agents, gateway, resources, runs, tenants, threads, tools, usage

__all__ = [
    "RECIPES",
    "Asked",
    "Recipe",
    "agents",
    "gateway",
    "recipes_of",
    "resources",
    "runs",
    "tenants",
    "threads",
    "tools",
    "usage",
]
