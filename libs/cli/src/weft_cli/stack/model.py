"""Which model the runners call: the one of the environment, else the scripted one of the stack."""

from collections.abc import Mapping
from dataclasses import dataclass, field

SCRIPTED_NAME = "scripted"


@dataclass(frozen=True)
class RealModel:
    """An endpoint of the OpenAI wire protocol; what is None is left to the service's defaults."""

    api_key: str = field(repr=False)
    base_url: str | None = None
    name: str | None = None


def find_real_model(environ: Mapping[str, str]) -> RealModel | None:
    """Return the model that OPENAI_API_KEY, OPENAI_BASE_URL and WEFT_MODEL choose; None without a key."""
    key = environ.get("OPENAI_API_KEY", "")
    if not key:
        return None
    return RealModel(key, environ.get("OPENAI_BASE_URL") or None, environ.get("WEFT_MODEL") or None)
