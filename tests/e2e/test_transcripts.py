"""Debug transcripts of a runner that is told to end, as an operator has them."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from public_api import Api, text_of
from weft_cli.stack import Stack


@pytest.fixture
async def folder(stack: Stack, tmp_path: Path) -> AsyncIterator[Path]:
    await asyncio.to_thread(stack.restart, "agent-runner", {"WEFT_TRANSCRIPT_FOLDER": str(tmp_path)})
    yield tmp_path
    await asyncio.to_thread(stack.start, "agent-runner")


@pytest.mark.row("C2")
async def test_transcript_is_whole_once_the_runner_has_ended(api: Api, stack: Stack, folder: Path) -> None:
    made = await api.initiate("say hello", agent_id=await api.make_agent("scripted"))
    events = await api.events(made.run_id)
    await asyncio.to_thread(stack.stop, "agent-runner")  # SIGTERM, and wait
    text = await asyncio.to_thread((folder / f"{made.run_id}.jsonl").read_text)
    lines = [json.loads(line) for line in text.splitlines()]
    assert "".join(line["text"] for line in lines if line["kind"] == "MessageDelta") == text_of(events)
    assert lines[-1]["kind"] == "Succeed"
