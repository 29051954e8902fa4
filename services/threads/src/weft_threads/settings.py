"""What the environment says."""

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError
from weft_grpckit.settings import ListenAddress, RedisUrl, ServerSettings

from weft_threads.model_endpoints.sealing import keys_from


def _database_url(value: SecretStr) -> SecretStr:
    try:
        url = make_url(value.get_secret_value())
    except ArgumentError:
        raise ValueError("must be postgresql://user:password@host:port/database") from None
    if not url.drivername.startswith("postgresql"):
        raise ValueError("must be postgresql://user:password@host:port/database")
    return value


def _secrets_key(value: SecretStr) -> SecretStr:
    keys_from(value.get_secret_value(), b"")
    return value


DatabaseUrl = Annotated[SecretStr, AfterValidator(_database_url)]


class Settings(ServerSettings):
    listen_address: ListenAddress = "127.0.0.1:7401"
    redis_url: RedisUrl = "redis://127.0.0.1:7479/0"
    # Logs in as weft_app: bound to one tenant at a time.
    app_database_url: DatabaseUrl
    # Logs in as weft_queue: sees the runs of all tenants, and may do little else.
    queue_database_url: DatabaseUrl
    # Connections to PostgreSQL. All replicas together should stay below four for each of its cores: more wait there
    # instead of here, and cost memory.
    app_connections: int = Field(10, ge=1, le=1000)
    queue_connections: int = Field(6, ge=1, le=1000)
    # How long a runner that says nothing keeps its runs. Shorter takes over faster, and mistakes a pause for a death.
    runner_lease_seconds: float = Field(4.0, ge=0.5, le=300)

    # Seals secrets of tenants, as their keys for the model provider: 32 bytes in base64. Several, separated by commas,
    # open what each has sealed; the first seals. Empty: it follows from WEFT_TOKEN_KEY, which then must not change.
    # What was sealed so opens also when this is set later.
    secrets_key: Annotated[SecretStr, AfterValidator(_secrets_key)] = Field(SecretStr(""), repr=False)

    @property
    def secrets_keys(self) -> list[bytes]:
        return keys_from(self.secrets_key.get_secret_value(), self.token_key_bytes)

    @property
    def runner_lease(self) -> timedelta:
        return timedelta(seconds=self.runner_lease_seconds)


class MigrationSettings(BaseSettings):
    """Of `python -m weft_threads.migrate`."""

    model_config = SettingsConfigDict(env_prefix="WEFT_", frozen=True, extra="ignore", env_ignore_empty=True)

    # Logs in as weft_owner, who owns everything and runs no service.
    owner_database_url: DatabaseUrl
