"""What docs/settings.md says of each variable, read from the settings classes and the comments above their fields."""

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import annotated_types
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings
from weft_agent_runner.settings import RunnerSettings
from weft_gateway.settings import GatewaySettings
from weft_grpckit.settings import ServerSettings
from weft_threads.settings import MigrationSettings
from weft_threads.settings import Settings as ThreadsSettings
from weft_tools.settings import Settings as ToolsSettings

SERVICES: Final[Mapping[str, type[BaseSettings]]] = {
    "gateway": GatewaySettings,
    "threads": ThreadsSettings,
    "agent-runner": RunnerSettings,
    "tools": ToolsSettings,
}
# What no comment says, because name and type do to whoever reads the class.
PLAIN: Final = {
    "listen_address": "Where to listen, as host:port.",
    "redis_url": "Redis: bell, live events, stop signals.",
    "threads_addresses": "Where threads is: a comma list of host:port, calls go round.",
    "tools_addresses": "Where tools is: a comma list of host:port, calls go round.",
    "openai_api_key": "The provider's key; empty for one that wants none.",
    "log_level": "DEBUG, INFO, WARNING or ERROR.",
    "queue_connections": "The same, for the queue's role.",
    "model_idle_seconds": "The same, between two pieces of its answer.",
}


def tables() -> str:
    parts = [_table("every service", ServerSettings, only=_shared())]
    parts += [_table(name, kind, without=_shared()) for name, kind in SERVICES.items()]
    return "\n\n".join([*parts, _table("`python -m weft_threads.migrate`", MigrationSettings)])


def variables() -> list[str]:
    """Return the name of every variable."""
    kinds: tuple[type[BaseSettings], ...] = (*SERVICES.values(), MigrationSettings)
    return [_variable(kind, name, field) for kind in kinds for name, field in kind.model_fields.items()]


def _shared() -> set[str]:
    return set(ServerSettings.model_fields) - {"listen_address"}


def _table(
    title: str, kind: type[BaseSettings], *, only: set[str] | None = None, without: set[str] | None = None
) -> str:
    lines = [f"## {title[:1].upper()}{title[1:]}", "| variable | default | meaning |", "|---|---|---|"]
    for name, field in kind.model_fields.items():
        if (only is None or name in only) and name not in (without or ()):
            cells = (f"`{_variable(kind, name, field)}`", _default(field), _meaning(kind, name) + _bounded(field))
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _variable(kind: type[BaseSettings], name: str, field: FieldInfo) -> str:
    if isinstance(field.validation_alias, str):
        return field.validation_alias
    return f"{kind.model_config.get('env_prefix', '')}{name}".upper()


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be set"
    value: Any = field.default
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return f"`{str(value).lower() if isinstance(value, bool) else value}`" if value != "" else "empty"


def _bounded(field: FieldInfo) -> str:
    bounds = ", ".join(_bounds(field))
    return f" {bounds}." if bounds else ""


def _bounds(field: FieldInfo) -> Iterator[str]:
    for rule in field.metadata:
        match rule:
            case annotated_types.Ge(ge):
                yield f"≥ {ge}"
            case annotated_types.Gt(gt):
                yield f"> {gt}"
            case annotated_types.Le(le):
                yield f"≤ {le}"


def _meaning(kind: type[BaseSettings], name: str) -> str:
    """Return the comment above the field, in the class or the one that it comes from.

    Raises:
        LookupError: nothing says what the variable means.
    """
    for each in kind.__mro__:
        if name in inspect.get_annotations(each):
            above = re.search(rf"((?:^    #[^\n]*\n)+)    {name}:", inspect.getsource(each), re.MULTILINE)
            if above is not None:
                return " ".join(line.strip().removeprefix("#").strip() for line in above[1].splitlines())
            break
    if name not in PLAIN:
        raise LookupError(f"{kind.__name__}.{name} has no comment that says what it is")
    return PLAIN[name]
