"""What reached the scripted model: a witness that is no part of Weft."""

import asyncio
import json
import urllib.parse
import urllib.request
from typing import Any

ANSWER_SECONDS = 10


class ModelRecord:
    def __init__(self, model_url: str) -> None:
        self._url = f"{model_url.removesuffix('/v1')}/scripted/calls"

    async def calls(self, model: str, **query: int) -> list[dict[str, Any]]:
        """Return the calls for a model name; `started=n` and `ended=n` wait for so many."""
        return await asyncio.to_thread(self._read, {"model": model, "timeout": 5, **query})

    def _read(self, query: dict[str, object]) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"{self._url}?{urllib.parse.urlencode(query)}", timeout=ANSWER_SECONDS) as answer:
            calls: list[dict[str, Any]] = json.load(answer)["calls"]
        return calls
