"""Debug transcripts: written behind, few writes, all of them at the end, and never in the way of a run."""

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from runner_world import World
from weft.runs.v1 import run_pb2
from weft_agent_runner.domain.entry import Act, AnswerMessage, BeginStep, Entry, Finish, FinishStep, Succeed
from weft_agent_runner.domain.events import MessageDelta
from weft_agent_runner.domain.model import ModelMessage, Role
from weft_agent_runner.domain.run import ClaimedRun, RunKey
from weft_agent_runner.transcript_log import TranscriptLog

KEY = RunKey("ten_1", "run_1", 1)


def a_run(key: RunKey = KEY) -> ClaimedRun:
    question = ModelMessage(Role.USER, "question")
    return ClaimedRun(key, "thr_1", "agt_1", "agv_1", "the-token", 1, 1, 60.0, 0, (question,))


def a_turn(number: int, key: RunKey = KEY, *, is_last: bool = False) -> list[Entry]:
    delta = MessageDelta(f"msg_{number}", 0, f"answer {number}")
    act = Act(
        FinishStep(number, 1, is_succeeded=True),
        (AnswerMessage(f"msg_{number}", number, f"answer {number}"),),
        None if is_last else BeginStep(number + 1, 1),
        Succeed(Finish.STOP) if is_last else None,
    )
    return [Entry(key, number, (delta,)), Entry(key, number, (), act)]


def lines_in(folder: Path, run_id: str = KEY.run_id) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{run_id}.jsonl").read_text().splitlines()]


@pytest.mark.row("C2")
async def test_ten_quick_turns_are_one_or_two_writes(tmp_path: Path) -> None:
    log = TranscriptLog(tmp_path)
    log.claimed(a_run())
    for number in range(1, 11):
        for entry in a_turn(number, is_last=number == 10):
            log.written(entry)
    await log.close()
    assert 1 <= log.writes <= 2
    lines = lines_in(tmp_path)
    assert [line["text"] for line in lines if line["kind"] == "AnswerMessage"] == [f"answer {n}" for n in range(1, 11)]
    assert [line["kind"] for line in lines[:2]] == ["claimed", "context"]
    assert lines[-1]["kind"] == "Succeed"
    assert {(line["run_id"], line["epoch"]) for line in lines} == {("run_1", 1)}


async def test_nothing_is_written_before_its_time_and_all_of_it_at_the_end(tmp_path: Path) -> None:
    log = TranscriptLog(tmp_path, interval_seconds=600)
    for run in range(10):
        log.claimed(a_run(RunKey("ten_1", f"run_{run}", 1)))
        log.claimed(a_run(RunKey("ten_1", f"run_{run}", 2)))
    assert log.writes == 0
    await log.close()
    assert log.writes == 10, "one for each file"
    assert [line["epoch"] for line in lines_in(tmp_path, "run_7")] == [1, 1, 2, 2]


async def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "some" / "folder"
    log = TranscriptLog(folder)
    log.claimed(a_run())
    await log.close()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "run_1.jsonl").stat().st_mode & 0o777 == 0o600


async def test_disk_that_is_full_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    os.symlink("/dev/full", tmp_path / "run_1.jsonl")
    os.symlink("/dev/full", tmp_path / "run_2.jsonl")
    log = TranscriptLog(tmp_path)
    with caplog.at_level(logging.WARNING):
        for run in ("run_1", "run_2"):
            log.claimed(a_run(RunKey("ten_1", run, 1)))
        await log.close()
    assert log.writes == 0
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "transcripts cannot be written, and are left out"
    ]


async def test_what_comes_too_fast_is_left_out_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = TranscriptLog(tmp_path, interval_seconds=600, max_waiting_bytes=1000)
    with caplog.at_level(logging.WARNING):
        for _ in range(100):
            log.claimed(a_run())
        await log.close()
    assert 0 < len(lines_in(tmp_path)) < 200
    assert "are left out" in caplog.text


@pytest.mark.row("C2")
async def test_process_writes_what_its_runs_did_before_it_ends(world: World, tmp_path: Path) -> None:
    world.agent("scripted:tools=9,tool=echo", "echo", max_model_calls=10)
    async with world.runner(transcript_folder=str(tmp_path), openai_api_key=SecretStr("sk-very-secret")):
        run = await world.ended(world.queue.add_run("say it"))
    lines = lines_in(tmp_path, run.run_id)
    assert [line["kind"] for line in lines].count("AnswerMessage") == 10
    assert [line["kind"] for line in lines].count("ToolMessage") == 9
    assert lines[1]["text"] == "say it"
    assert lines[-1]["kind"] == "Succeed"
    text = (tmp_path / f"{run.run_id}.jsonl").read_text()
    assert "token of" not in text
    assert "sk-very-secret" not in text


@pytest.mark.row("C2")
async def test_folder_that_cannot_be_written_harms_no_run(world: World, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    world.agent("scripted")
    async with world.runner(transcript_folder=str(tmp_path / "file" / "folder")):
        run = await world.ended(world.queue.add_run("hello"))
    assert run.state == run_pb2.RUN_STATE_SUCCEEDED
