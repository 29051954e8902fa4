"""What the environment says."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr
from weft_grpckit.settings import Addresses, ListenAddress, RedisUrl, ServerSettings

from weft_agent_runner.domain.prices import Prices
from weft_agent_runner.price_table import prices_from


def _api_key(value: SecretStr) -> SecretStr:
    if not re.fullmatch("[!-~]*", value.get_secret_value()):
        raise ValueError(
            "must be ASCII without spaces, to fit into an HTTP header: is it the whole key, and only the key?"
        )
    return value


def _prices(value: str) -> str:
    prices_from(value)
    return value


class RunnerSettings(ServerSettings):
    listen_address: ListenAddress = "127.0.0.1:7402"
    redis_url: RedisUrl = "redis://127.0.0.1:7479/0"
    threads_addresses: Addresses = "127.0.0.1:7401"
    tools_addresses: Addresses = "127.0.0.1:7403"
    # The provider: any endpoint that speaks the OpenAI protocol.
    openai_base_url: str = Field("https://api.openai.com/v1", validation_alias="OPENAI_BASE_URL", pattern="^https?://")
    openai_api_key: Annotated[SecretStr, AfterValidator(_api_key)] = Field(
        SecretStr(""), validation_alias="OPENAI_API_KEY"
    )
    # The model of agents that name none.
    model: str = Field("gpt-5-mini", min_length=1, max_length=500)
    # What models cost, in US dollars for a million tokens: JSON as {"gpt-5-mini": {"input": 0.25, "cached_input":
    # 0.025, "output": 2}}, or the path of a file with it. Calls of other models are counted without a cost.
    model_prices: Annotated[str, AfterValidator(_prices)] = ""
    # Run slots. About what one core streams at 100 tokens a second each.
    max_runs: int = Field(50, ge=1, le=1000)
    # Bytes of one run that may wait to be written before its model's stream is held up.
    max_buffered_bytes: int = Field(1024 * 1024, ge=1024, le=64 * 1024 * 1024)
    # Largest context of a run, in bytes: it is held in memory for as long as the run goes on.
    max_context_bytes: int = Field(16 * 1024 * 1024, ge=1024)
    # How long a model may take to say something at all, and to go on.
    model_first_byte_seconds: float = Field(60.0, gt=0, le=3600)
    model_idle_seconds: float = Field(30.0, gt=0, le=3600)
    # How long a tools service that goes away is called again, from its first failure, before the model is told so.
    tools_patience_seconds: float = Field(15.0, ge=0, le=600)
    # Whether a thread gets a title from the agent's model after its first run that succeeds: one short call more.
    titles: bool = True
    # Folder for debug transcripts: a file for each run with all that was said in it. Nobody removes them. Empty: none.
    transcript_folder: str = ""
    # Attachments that are read at once, each in a process of its own; further ones wait.
    attachment_readers: int = Field(2, ge=1, le=64)
    # Seconds of computing that such a process may take.
    attachment_seconds: int = Field(20, ge=1, le=600)
    # Bytes of memory that such a process may take.
    attachment_memory_bytes: int = Field(512 * 1024 * 1024, ge=128 * 1024 * 1024, le=16 * 1024**3)
    # Bytes of text that are kept of one attachment: all of them go into the model's context.
    attachment_text_bytes: int = Field(256 * 1024, ge=1024, le=512 * 1024)

    @property
    def prices(self) -> Prices:
        return prices_from(self.model_prices)
