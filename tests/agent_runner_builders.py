"""Runs, entries and answers as tests want them."""

from typing import Any

from weft_agent_runner.domain.entry import EntryResult
from weft_agent_runner.domain.model import ModelMessage, Role, ToolCall
from weft_agent_runner.domain.run import BegunStep, ClaimedRun, PlacedToolCall, RunKey


def a_key(number: int = 1, epoch: int = 1) -> RunKey:
    return RunKey("ten_1", f"run_{number}", epoch)


def a_run(number: int = 1, **fields: Any) -> ClaimedRun:
    values: dict[str, Any] = {
        "key": a_key(number),
        "thread_id": "thr_1",
        "agent_id": "agt_1",
        "agent_version_id": "agv_1",
        "token": "",
        "last_seq": 3,
        "attempt": 1,
        "remaining_seconds": 300.0,
        "finished_steps": 0,
        "context": (ModelMessage(Role.USER, "hello"),),
        "begun_step": BegunStep(1, 1, "msg_1"),
        **fields,
    }
    return ClaimedRun(**values)


def calls(count: int, step: int = 1) -> tuple[PlacedToolCall, ...]:
    return tuple(PlacedToolCall(step, index, ToolCall(f"c{index}", "echo", "{}")) for index in range(count))


def done(last_seq: int, **fields: Any) -> EntryResult:
    return EntryResult(epoch=1, last_seq=last_seq, **fields)
