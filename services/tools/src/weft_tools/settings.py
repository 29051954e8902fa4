"""What the environment says."""

from typing import Annotated

from pydantic import AfterValidator, Field
from weft_grpckit.settings import Addresses, ListenAddress, ServerSettings

from weft_tools.plugins import PluginError, load_plugins


def _loadable(value: str) -> str:
    try:
        load_plugins(references_in(value))
    except PluginError as error:
        raise ValueError(str(error)) from error
    return value


def references_in(value: str) -> list[str]:
    return [each.strip() for each in value.split(",") if each.strip()]


class Settings(ServerSettings):
    listen_address: ListenAddress = "127.0.0.1:7403"
    threads_addresses: Addresses = "127.0.0.1:7401"
    # Comma list of module:function; each function returns tools.
    tool_plugins: Annotated[str, AfterValidator(_loadable)] = ""
    # Seconds after the death of this process until another one may take its calls up. Short, because a run waits for
    # it; renewed four times in that time, so that one lost renewal does no harm.
    tool_lease_seconds: float = Field(4.0, ge=0.5, le=60)
    # Seconds that the journal may be away before a call that has not begun fails: longer than a restart of PostgreSQL.
    # The result of one that has begun is kept for an hour.
    journal_patience_seconds: float = Field(30.0, ge=0, le=600)
