"""Tools that cannot be used are refused at start; those that can are found by name."""

from typing import Any

import pytest
from weft_core.errors import NotFoundError
from weft_tools.builtin import BUILT_IN
from weft_tools.domain.registry import Registry, ToolDefinitionError
from weft_tools.domain.tool import Tool
from weft_tools.plugins import PluginError, load_plugins
from weft_tools.schema import compile_schema


async def nothing(arguments: Any, context: Any) -> object:
    return ""


def a_tool(**changes: Any) -> Tool:
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 1}, "items": {"type": "array", "items": {"type": "string"}}},
        "required": ["n"],
        "additionalProperties": False,
    }
    settings: dict[str, Any] = {"name": "a_tool", "description": "Does it.", "parameters": schema, "handler": nothing}
    return Tool(**settings | changes)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": "with space"}, "1 to 64"),
        ({"name": "x" * 65}, "1 to 64"),
        ({"description": " "}, "no description"),
        ({"timeout_seconds": 0}, "timeout"),
        ({"parameters": {"type": "string"}}, "type object"),
        ({"parameters": {"type": "object", "properties": {"n": {"type": "nonsense"}}}}, "schema is wrong"),
    ],
)
def test_a_tool_that_cannot_work_is_refused_when_it_is_registered(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ToolDefinitionError, match=told):
        Registry([a_tool(**changes)], compile_schema)


def test_two_tools_of_one_name_are_refused() -> None:
    with pytest.raises(ToolDefinitionError, match="twice"):
        Registry([*BUILT_IN, a_tool(name="create_task")], compile_schema)


def test_tools_are_listed_by_name_from_behind_a_cursor() -> None:
    registry = Registry([a_tool(name=name) for name in "cab"], compile_schema)
    assert [tool.name for tool in registry.list_after("", 2)] == ["a", "b"]
    assert [tool.name for tool in registry.list_after("b", 2)] == ["c"]
    with pytest.raises(NotFoundError) as caught:
        registry.get("d")
    assert caught.value.reason == "TOOL_NOT_FOUND"


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        ({"n": 1}, []),
        ({}, ["arguments"]),
        ({"n": 0}, ["arguments.n"]),
        ({"n": 1, "x": 2}, ["arguments"]),
        ({"n": 1, "items": ["a", 2, 3]}, ["arguments.items[1]", "arguments.items[2]"]),
    ],
)
def test_a_schema_names_each_place_that_breaks_it(arguments: dict[str, Any], fields: list[str]) -> None:
    check = Registry([a_tool()], compile_schema).get("a_tool").check
    assert [violation.field for violation in check(arguments)] == fields


def test_violations_are_few_and_short_whatever_was_sent() -> None:
    check = Registry([a_tool()], compile_schema).get("a_tool").check
    violations = check({"n": "x" * 100_000, "items": [0] * 1000})
    assert len(violations) == 20
    assert max(len(violation.description) for violation in violations) <= 300


def test_plugins_are_loaded_by_reference() -> None:
    names = [tool.name for tool in load_plugins(["weft_testkit.effect_tools:effect_tools"])]
    assert "count_effect" in names


@pytest.mark.parametrize("reference", ["weft_testkit", "no_such_module:f", "os:no_such_name", "os:getcwd", "os:getpid"])
def test_a_plugin_that_gives_no_tools_is_refused(reference: str) -> None:
    with pytest.raises(PluginError, match=reference.split(":", maxsplit=1)[0]):
        load_plugins([reference])
