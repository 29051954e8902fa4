"""What a transcript says of a run. Never a token nor a key: nothing is taken as a whole that holds one."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from weft_agent_runner.domain.entry import Act, AnswerMessage, Entry
from weft_agent_runner.domain.model import ModelMessage
from weft_agent_runner.domain.outcome import ToolCompleted, told_to_model
from weft_agent_runner.domain.run import ClaimedRun, RunKey

Line = Mapping[str, Any]


def claimed_lines(run: ClaimedRun) -> Iterator[Line]:
    """Yield the take-up of a run, then the conversation that it begins with."""
    yield _line(
        run.key,
        "claimed",
        thread_id=run.thread_id,
        agent_id=run.agent_id,
        agent_version_id=run.agent_version_id,
        attempt=run.attempt,
        finished_steps=run.finished_steps,
        is_context_inline=run.context is not None,
    )
    for message in run.context or ():
        yield _line(run.key, "context", **_message(message))


def entry_lines(entry: Entry) -> Iterator[Line]:
    """Yield what was committed, in the order in which it was written."""
    for event in entry.events:
        yield _line(entry.key, type(event).__name__, **asdict(event))
    if entry.act is not None:
        yield from _act_lines(entry.key, entry.act)


def _act_lines(key: RunKey, act: Act) -> Iterator[Line]:
    if act.finish_step is not None:
        yield _line(key, "FinishStep", **asdict(act.finish_step))
    for message in act.messages:
        if isinstance(message, AnswerMessage):
            yield _line(key, "AnswerMessage", **asdict(message))
        else:
            outcome = message.outcome
            yield _line(
                key,
                "ToolMessage",
                place=asdict(outcome.place),
                is_completed=isinstance(outcome, ToolCompleted),
                text=told_to_model(outcome),
            )
    if act.begin_step is not None:
        yield _line(key, "BeginStep", **asdict(act.begin_step))
    if act.transition is not None:
        yield _line(key, type(act.transition).__name__, **asdict(act.transition))


def _line(key: RunKey, kind: str, **fields: Any) -> Line:
    return {"time": round(time.time(), 3), "run_id": key.run_id, "epoch": key.epoch, "kind": kind, **fields}


def _message(message: ModelMessage) -> dict[str, Any]:
    return {
        "role": str(message.role),
        "text": message.text,
        "tool_calls": [asdict(call) for call in message.tool_calls],
        "tool_call_id": message.tool_call_id,
    }
