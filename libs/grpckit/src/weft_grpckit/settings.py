"""Settings from the environment: all faults at once, secrets hidden."""

import re
import sys
from typing import Annotated, TypeVar

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from weft_telemetry.settings import TelemetrySettings

from weft_grpckit.channels import target_of

FAULTY_SETTINGS = 2


def _token_key(value: SecretStr) -> SecretStr:
    try:
        key = bytes.fromhex(value.get_secret_value())
    except ValueError:
        raise ValueError("must be hexadecimal: make one with `openssl rand -hex 32`") from None
    if len(key) < 32:
        raise ValueError("must be at least 32 bytes: make one with `openssl rand -hex 32`")
    return value


def _listen_address(value: str) -> str:
    if not re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[\w.-]+):\d{1,5}", value):
        raise ValueError("must be host:port")
    return value


def _addresses(value: str) -> str:
    target_of(value)
    if not all(re.fullmatch(r"[\w.-]+:\d{1,5}", each.strip()) for each in value.split(",")):
        raise ValueError("must be a comma list of host:port")
    return value


def _redis_url(value: str) -> str:
    if not re.match(r"(redis|rediss|unix)://", value):
        raise ValueError("must be redis://host:port/database")
    return value


TokenKey = Annotated[SecretStr, AfterValidator(_token_key)]
ListenAddress = Annotated[str, AfterValidator(_listen_address)]
Addresses = Annotated[str, AfterValidator(_addresses)]
RedisUrl = Annotated[str, AfterValidator(_redis_url)]


class ServerSettings(TelemetrySettings):
    """What every service is told. Subclasses add their own and override `listen_address`."""

    model_config = SettingsConfigDict(
        env_prefix="WEFT_", frozen=True, extra="ignore", env_ignore_empty=True, populate_by_name=True
    )

    listen_address: ListenAddress = "127.0.0.1:7400"
    # Shared by all services, at least 32 bytes in hexadecimal: signs the tokens with which they call each other.
    token_key: TokenKey
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    # Seconds that calls under way get when the process is told to stop.
    stop_grace_seconds: float = Field(10.0, ge=0, le=600)
    # For tests: a reason that a method does not declare becomes an internal error.
    strict_reasons: bool = False

    @property
    def token_key_bytes(self) -> bytes:
        return bytes.fromhex(self.token_key.get_secret_value())


Settings = TypeVar("Settings", bound=BaseSettings)


def load_settings(kind: type[Settings]) -> Settings:
    """Read the environment. With faults, print all of them and exit with code 2."""
    try:
        return kind()
    except ValidationError as error:
        sys.stderr.write("\n".join(faults(kind, error)) + "\n")
        raise SystemExit(FAULTY_SETTINGS) from None


def faults(kind: type[BaseSettings], error: ValidationError) -> list[str]:
    """Return one line for each fault: the variable's name and what is wrong, never its value."""
    prefix = str(kind.model_config.get("env_prefix", ""))
    lines = []
    for fault in error.errors(include_input=False, include_url=False):
        field = str(fault["loc"][0]) if fault["loc"] else ""
        known = kind.model_fields.get(field)
        alias = known.validation_alias if known is not None else None
        name = alias if isinstance(alias, str) else field if field.isupper() else f"{prefix}{field}".upper()
        what = "is not set" if fault["type"] == "missing" else fault["msg"].removeprefix("Value error, ")
        lines.append(f"{name}: {what}")
    return lines
