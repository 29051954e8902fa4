"""Tools that an operator adds by a setting."""

from collections.abc import Iterable
from importlib import import_module

from weft_tools.domain.tool import Tool


class PluginError(ValueError):
    """A plugin cannot be loaded; the message says which and why."""


def load_plugins(references: Iterable[str]) -> list[Tool]:
    """Return the tools that the functions named return, each named as `package.module:function`.

    Raises: PluginError.
    """
    return [tool for reference in references for tool in _load(reference)]


def _load(reference: str) -> list[Tool]:
    module_name, separator, function_name = reference.partition(":")
    if not (module_name and separator and function_name):
        raise PluginError(f"{reference!r} is not of the form module:function")
    try:
        tools = list(getattr(import_module(module_name), function_name)())
    except (ImportError, AttributeError, TypeError) as error:
        raise PluginError(f"{reference}: {error}") from error
    if not all(isinstance(tool, Tool) for tool in tools):
        raise PluginError(f"{reference} must return tools")
    return tools
