"""A second message merged into a running answer, and a cancel."""

import asyncio
import time

from google.protobuf.duration_pb2 import Duration
from weft.runs.v1 import run_service_pb2
from weft.threads.v1 import message_pb2

from weft_cli.demo.log import Seen, check_log, of_kind
from weft_cli.demo.scene import Stage, said, state_name
from weft_cli.demo.watcher import Watcher
from weft_cli.view import EventView

SLOW = "scripted:tps=40,count=120,tag=demo-merge"
ENDLESS = "scripted:tps=40,count=100000,tag=demo-cancel"
FIRST, SECOND = "Tell me about threads.", "And about runs, please."
DELTAS_BEFORE = 4
CANCEL_WAIT_SECONDS = 5
MOST_CANCEL_SECONDS = 2.0


async def merge(stage: Stage) -> None:
    agent_id = await stage.make_agent("Slow talker", SLOW)
    first, _ = await stage.initiate(FIRST, agent_id=agent_id)
    async with asyncio.TaskGroup() as group:
        watcher = Watcher(EventView(stage.printer, "first  ┊ ").show)
        watching = group.create_task(watcher.watch(stage.api, first.run_id))
        await watcher.until("message_delta", DELTAS_BEFORE)
        second, _ = await stage.initiate(SECOND, thread_id=first.thread_id)
        other = Watcher(EventView(stage.printer, "second ┊ ").show)
        answering = group.create_task(other.watch(stage.edge, second.run_id))
    _check_merged(stage, watching.result(), answering.result(), second.run_id, is_merged=second.is_merged)
    await _check_model_merged(stage)
    await _check_messages_merged(stage, first.thread_id, second.run_id)


def _check_merged(stage: Stage, told: list[Seen], answered: list[Seen], successor: str, *, is_merged: bool) -> None:
    stage.checks.that("merge.said", is_merged, "the second caller was told that it took over the first")
    check_log(stage.checks, told)
    check_log(stage.checks, answered)
    ends = [event.run_superseded.successor_run_id for event in of_kind(told, "run_superseded")]
    stage.checks.equal("merge.told", ends, [successor], "the first watcher was told which run answers")
    stage.checks.equal("merge.answered", answered[-1].kind, "run_succeeded", "the second run answered")


async def _check_model_merged(stage: Stage) -> None:
    calls = await stage.model.calls(SLOW, ended=2)
    stage.checks.equal("merge.calls", len(calls), 2, "the model was called twice")
    stage.checks.equal("merge.stopped", calls[0]["ending"], "client_closed", "the first call was closed in mid-answer")
    is_after = calls[0]["client_closed_time"] is not None and calls[0]["client_closed_time"] <= calls[1]["start_time"]
    stage.checks.that("merge.order", is_after, "the first call's socket closed before the second call began")
    stage.checks.equal(
        "merge.joined",
        calls[1]["user_text"],
        f"{FIRST}\n---\n{SECOND}",
        "the second call's user turn is both texts, joined",
    )


async def _check_messages_merged(stage: Stage, thread_id: str, successor: str) -> None:
    messages = await stage.messages(thread_id)
    asked = [said(message) for message in messages if message.role == message_pb2.ROLE_USER]
    stage.checks.equal("merge.rows", sorted(asked), sorted([FIRST, SECOND]), "both questions are messages of their own")
    whole = [
        message.run_id
        for message in messages
        if message.role == message_pb2.ROLE_ASSISTANT and message.state == message_pb2.Message.STATE_COMPLETE
    ]
    stage.checks.equal("merge.one_answer", whole, [successor], "there is one whole answer, the second run's")


async def cancel(stage: Stage) -> None:
    agent_id = await stage.make_agent("Never done", ENDLESS)
    answer, _ = await stage.initiate("Count until I stop you.", agent_id=agent_id)
    async with asyncio.TaskGroup() as group:
        watcher = Watcher(EventView(stage.printer).show)
        watching = group.create_task(watcher.watch(stage.api, answer.run_id))
        await watcher.until("message_delta", DELTAS_BEFORE)
        began = time.time()
        request = run_service_pb2.CancelRunRequest(run_id=answer.run_id, wait=Duration(seconds=CANCEL_WAIT_SECONDS))
        run = (await stage.api.call(stage.api.runs.CancelRun, request)).run
        answered = time.time()
        stage.checks.equal("cancel.state", state_name(run), "CANCELLED", "the run is cancelled when the call answers")
        async with asyncio.timeout(CANCEL_WAIT_SECONDS):
            seen = await asyncio.shield(watching)
    check_log(stage.checks, seen)
    _check_cancel_times(stage, seen, began, answered)
    await _check_model_stopped(stage, began)
    await _check_partial(stage, answer.thread_id)


def _check_cancel_times(stage: Stage, seen: list[Seen], began: float, answered: float) -> None:
    stage.checks.equal("cancel.event", seen[-1].kind, "run_cancelled", "the watcher saw run.cancelled")
    watcher_seconds, caller_seconds = seen[-1].arrival - began, answered - began
    sentence = (
        f"{watcher_seconds * 1000:.1f} ms to the watcher's last event, {caller_seconds * 1000:.1f} ms to the answer"
    )
    stage.checks.that("cancel.time", max(watcher_seconds, caller_seconds) < MOST_CANCEL_SECONDS, sentence)


async def _check_model_stopped(stage: Stage, began: float) -> None:
    calls = await stage.model.calls(ENDLESS, ended=1)
    stage.checks.equal(
        "cancel.model", [call["ending"] for call in calls], ["client_closed"], "the model's stream was closed"
    )
    seconds = calls[0]["client_closed_time"] - began
    stage.checks.that("cancel.model_time", seconds < MOST_CANCEL_SECONDS, f"{seconds * 1000:.1f} ms after the cancel")


async def _check_partial(stage: Stage, thread_id: str) -> None:
    messages = await stage.messages(thread_id)
    states = [message.state for message in messages if message.role == message_pb2.ROLE_ASSISTANT]
    stage.checks.equal(
        "cancel.partial", states, [message_pb2.Message.STATE_INCOMPLETE], "what it had said is kept, marked incomplete"
    )
