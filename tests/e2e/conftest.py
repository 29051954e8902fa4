"""One Weft for all stories: every service as a process, the scripted model, a tool that reports progress."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from egress_world import LoopbackSite, site_in_thread
from oracle import assert_clean
from public_api import Api, new_tenant
from runs_world import superuser_url
from stalls import WATCHING, assert_no_stalls
from weft_cli.stack import Stack

# The only model that costs something here: 2 and 6 US dollars for a million tokens.
PRICED_MODEL = "scripted:tag=priced"


@pytest.fixture(scope="session")
def site() -> Iterator[LoopbackSite]:
    """A server on 127.0.0.1, where nobody may go, and on the same port of 127.0.0.2, which http_fetch may reach."""
    with site_in_thread(("127.0.0.1", "127.0.0.2")) as opened:
        yield opened


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, site: LoopbackSite) -> Iterator[Stack]:
    effects: Path = tmp_path_factory.mktemp("effects") / "effects.txt"
    env = {
        "tools": {
            "WEFT_TOOL_PLUGINS": "weft_testkit.effect_tools:effect_tools",
            "WEFT_TEST_EFFECTS_FILE": str(effects),
            "WEFT_EGRESS_PORTS": f"80,443,{site.port}",
            "WEFT_EGRESS_ALLOW": "127.0.0.2",
        },
        "*": {"WEFT_STRICT_REASONS": "1", **WATCHING},
        "agent-runner": {"WEFT_MODEL_PRICES": json.dumps({PRICED_MODEL: {"input": 2, "output": 6}})},
    }
    with Stack(env=env) as running:
        yield running
        assert_no_stalls(running)


@pytest.fixture
async def api(stack: Stack) -> AsyncIterator[Api]:
    """The API as a fresh tenant; the oracle decides at the end."""
    async with new_tenant([stack.address("gateway")], stack.operator_key) as opened:
        yield opened
        await assert_clean(superuser_url(stack), opened.recordings, all_ended=False)
