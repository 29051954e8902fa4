import asyncio

import pytest
from weft_agent_runner.cache import SingleFlightCache


class Source:
    def __init__(self) -> None:
        self.loads = 0
        self.gate = asyncio.Event()
        self.error: Exception | None = None

    async def load(self) -> str:
        self.loads += 1
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return f"value {self.loads}"


async def test_value_is_loaded_once_when_many_ask_at_once() -> None:
    cache, source = SingleFlightCache[str, str](10), Source()
    asking = [asyncio.create_task(cache.get("k", source.load)) for _ in range(50)]
    await asyncio.sleep(0)
    source.gate.set()
    assert set(await asyncio.gather(*asking)) == {"value 1"}
    assert await cache.get("k", source.load) == "value 1"


async def test_load_goes_on_when_who_began_it_is_cancelled() -> None:
    cache, source = SingleFlightCache[str, str](10), Source()
    first, second = (asyncio.create_task(cache.get("k", source.load)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    source.gate.set()
    assert await second == "value 1"


async def test_failure_is_told_to_all_who_wait_and_not_kept() -> None:
    cache, source = SingleFlightCache[str, str](10), Source()
    source.error = ValueError("no")
    source.gate.set()
    with pytest.raises(ValueError, match="no"):
        await cache.get("k", source.load)
    source.error = None
    assert await cache.get("k", source.load) == "value 2"


async def test_oldest_value_goes_when_there_are_too_many() -> None:
    cache, source = SingleFlightCache[int, str](2), Source()
    source.gate.set()
    for key in (1, 2, 1, 3, 1):
        await cache.get(key, source.load)
    assert source.loads == 3
    await cache.get(2, source.load)
    assert source.loads == 4


async def test_value_is_loaded_again_when_it_is_too_old() -> None:
    cache, source = SingleFlightCache[int, str](2, max_age_seconds=0.0), Source()
    source.gate.set()
    await cache.get(1, source.load)
    await cache.get(1, source.load)
    assert source.loads == 2
