"""What the environment says."""

from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo
from weft_egress.policy import policy_of
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


def _policy(value: str, info: ValidationInfo) -> str:
    ports, allowed = (value, "") if info.field_name == "egress_ports" else ("", value)
    policy_of(ports, allowed)
    return value


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
    # Ports that http_fetch may reach, a comma list.
    egress_ports: Annotated[str, AfterValidator(_policy)] = "80,443"
    # What http_fetch may reach beside the public internet, on these ports: a comma list of networks, addresses and host
    # names. A name is allowed whatever its addresses are. Nothing, because every agent that has http_fetch gets at it.
    egress_allow: Annotated[str, AfterValidator(_policy)] = ""
    # Seconds that one http_fetch may take, redirects and body included.
    http_fetch_seconds: float = Field(30.0, gt=0, le=300)
    # Bytes that are read of one page, unpacked: the rest is left out.
    http_fetch_max_bytes: int = Field(2 * 1024 * 1024, ge=1024, le=64 * 1024 * 1024)
