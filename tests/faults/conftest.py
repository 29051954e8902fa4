"""Two of each service as processes on real PostgreSQL, Redis and Envoy; a tool that counts its effects."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from faults_world import FaultWorld
from stalls import WATCHING, assert_no_stalls
from weft_cli.stack import Stack


@pytest.fixture(scope="session")
def effects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("effects") / "effects.txt"


@pytest.fixture(scope="session")
def stack(effects: Path) -> Iterator[Stack]:
    env = {
        "tools": {
            "WEFT_TOOL_PLUGINS": "weft_testkit.effect_tools:effect_tools",
            "WEFT_TEST_EFFECTS_FILE": str(effects),
        },
        "*": {"WEFT_STRICT_REASONS": "1", **WATCHING},
    }
    with Stack(replicas=2, env=env) as running:
        yield running
        assert_no_stalls(running)


@pytest.fixture
async def world(stack: Stack, effects: Path) -> AsyncIterator[FaultWorld]:
    """Everything alive at the start; at the end the oracle decides, over all that ever ran here."""
    await asyncio.to_thread(effects.write_text, "")
    async with FaultWorld.open(stack, effects) as opened:
        yield opened
        await opened.mend()
        await opened.judge()
