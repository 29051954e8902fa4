"""What a run's model calls need is loaded once; a tool's name with a slip in it is told."""

from collections.abc import Sequence

import pytest
from weft_agent_runner.domain.agent import AgentVersion
from weft_agent_runner.domain.model import ToolSpec
from weft_agent_runner.domain.outcome import ToolOutcome
from weft_agent_runner.domain.ports import ToolWatch
from weft_agent_runner.domain.run import ClaimedRun, PlacedToolCall, RunKey
from weft_agent_runner.equipper import CachingEquipper

A_RUN = ClaimedRun(
    key=RunKey("ten_1", "run_1", 1),
    thread_id="thr_1",
    agent_id="agt_1",
    agent_version_id="agv_1",
    token="",
    last_seq=3,
    attempt=1,
    remaining_seconds=5.0,
    finished_steps=0,
    context=(),
)


class NoKeys:
    async def get_model_key(self, run: ClaimedRun) -> str:
        return ""


class OneAgent:
    async def get_version(self, run: ClaimedRun) -> AgentVersion:
        return AgentVersion(tools=("search_documents", "serch_documents"))


class OneTool:
    def __init__(self) -> None:
        self.listings = 0

    async def list_specs(self, run: ClaimedRun, names: Sequence[str]) -> tuple[ToolSpec, ...]:
        self.listings += 1
        return (ToolSpec("search_documents", "", {}),)

    async def execute(self, run: ClaimedRun, place: PlacedToolCall, state: str, watch: ToolWatch) -> ToolOutcome:
        raise NotImplementedError


async def test_tool_that_does_not_exist_is_left_out_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    tools = OneTool()
    equipper = CachingEquipper(OneAgent(), tools, NoKeys(), "a-model", {})
    for _ in range(3):
        equipment = await equipper.equip(A_RUN)
    await equipper.close()
    assert [spec.name for spec in equipment.tools] == ["search_documents"]
    assert tools.listings == 1
    assert caplog.messages == ["agv_1 names tools that do not exist: serch_documents"]
