"""What the gateway is told by the environment."""

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr
from weft_grpckit.settings import Addresses, ListenAddress, RedisUrl, ServerSettings


def _operator_key(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < 32:
        raise ValueError("must have at least 32 characters: make one with `openssl rand -hex 32`")
    return value


class GatewaySettings(ServerSettings):
    listen_address: ListenAddress = "127.0.0.1:7400"
    redis_url: RedisUrl = "redis://127.0.0.1:7479/0"
    threads_addresses: Addresses = "127.0.0.1:7401"
    tools_addresses: Addresses = "127.0.0.1:7403"
    # At least 32 characters; opens TenantService and nothing else.
    operator_key: Annotated[SecretStr, AfterValidator(_operator_key)]
    # Seconds of silence after which a watch is told that it lives: below the idle limits of proxies.
    keepalive_seconds: float = Field(10.0, gt=0, le=60)
    # Calls at once, watches included: 20,000 idle ones take about 600 MB.
    max_calls: int = Field(20_000, ge=1)
