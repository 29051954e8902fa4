"""The fixtures of these tests; what they are made of is in harness.py."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from integration.tools.harness import KEY, Gate, Setting, ToolsServer
from weft_grpckit.tokens import TokenSigner
from weft_testkit.effect_tools import EFFECTS_FILE
from weft_testkit.fake_threads import fake_threads


@pytest.fixture
async def setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Setting]:
    effects = tmp_path / "effects"
    monkeypatch.setenv(EFFECTS_FILE, str(effects))
    async with fake_threads(KEY) as threads, AsyncExitStack() as stack:
        yield Setting(threads, Gate(), TokenSigner(KEY), stack, effects)


@pytest.fixture
async def server(setting: Setting) -> ToolsServer:
    return await setting.server()
