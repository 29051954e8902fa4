"""Cancels of what has ended, waits, does not exist or has not come yet; threads deleted under a run."""

import asyncio
from typing import Any

import pytest
from e2e.asking import model_calls, refused
from public_api import Api, type_of
from weft.gateway.v1 import agent_gateway_service_pb2 as gateway
from weft.runs.v1 import event_pb2, run_pb2
from weft.runs.v1 import run_service_pb2 as runs
from weft.threads.v1 import thread_service_pb2 as threads
from weft_cli.stack import Stack

SILENT = "scripted:silent=2,tag="


async def cancel_request(api: Api, request_id: str) -> runs.CancelRunResponse:
    request = runs.CancelRunRequest(request_id=request_id)
    answer: runs.CancelRunResponse = await api.runs.CancelRun(request, metadata=api.metadata, timeout=10)
    return answer


async def talking(api: Api, tag: str, **fields: Any) -> gateway.InitiateAgentResponse:
    """Start a run whose model has begun to answer and does not go on."""
    made = await api.initiate("talk", agent_id=await api.make_agent(SILENT + tag), **fields)
    await api.events(made.run_id, stop_when=lambda event: type_of(event) == "message_delta")
    return made


async def test_cancel_of_a_finished_run_answers_it_as_it_is(api: Api) -> None:
    made = await api.initiate("hello", agent_id=await api.make_agent("scripted:count=3"), request_id="finished")
    events = await api.events(made.run_id)
    before = await api.get_run(made.run_id)
    assert await api.cancel(made.run_id) == before
    assert (await cancel_request(api, "finished")).run == before
    assert await api.events(made.run_id) == events


async def test_cancel_of_a_queued_run_ends_it_at_once_and_the_model_never_hears_of_it(api: Api, stack: Stack) -> None:
    first = await talking(api, "blocker")
    model = "scripted:count=3,tag=never-started"
    queued = await api.initiate(
        "later",
        thread_id=first.thread_id,
        agent_id=await api.make_agent(model),
        busy_strategy=run_pb2.BUSY_STRATEGY_ENQUEUE,
    )
    run = await api.cancel(queued.run_id, wait_seconds=0)
    assert (run.state, run.attempt) == (run_pb2.RUN_STATE_CANCELLED, 0)
    assert [type_of(event) for event in await api.events(queued.run_id)] == ["run_queued", "run_cancelled"]
    assert (await api.get_run(first.run_id)).state == run_pb2.RUN_STATE_RUNNING
    await api.cancel(first.run_id)
    await api.events(first.run_id)
    assert await model_calls(stack, model=model) == []


async def test_cancelling_twice_is_cancelling_once(api: Api) -> None:
    made = await talking(api, "cancelled-twice")
    first, second = await asyncio.gather(api.cancel(made.run_id), api.cancel(made.run_id))
    assert first.state == second.state == run_pb2.RUN_STATE_CANCELLED
    assert first.cancel_time == second.cancel_time
    events = await api.events(made.run_id)
    assert sum(type_of(event) == "run_cancelled" for event in events) == 1


async def test_cancel_of_a_request_before_it_comes_refuses_it(api: Api) -> None:
    for _ in range(2):
        answer = await cancel_request(api, "too-early")
        assert answer.is_tombstone
        assert not answer.HasField("run")
    for text in ("hello", "another body"):
        await refused(api.initiate(text, request_id="too-early"), "FAILED_PRECONDITION", "REQUEST_CANCELLED")
    listed = await api.runs.ListRuns(runs.ListRunsRequest(), metadata=api.metadata, timeout=10)
    assert not listed.runs
    made = await api.initiate("hello", request_id="another-key", agent_id=await api.make_agent("scripted:count=1"))
    assert type_of((await api.events(made.run_id))[-1]) == "run_succeeded"


async def test_cancel_of_a_request_that_races_it_stops_the_run_or_refuses_it(api: Api) -> None:
    agent = await api.make_agent("scripted:silent=0,tag=race")

    async def one(number: int) -> str:
        request_id = f"race-{number}"
        made, answer = await asyncio.gather(
            api.initiate("hello", agent_id=agent, request_id=request_id),
            cancel_request(api, request_id),
            return_exceptions=True,
        )
        assert isinstance(answer, runs.CancelRunResponse)
        if answer.is_tombstone:
            assert isinstance(made, Exception)
            return "refused"
        assert isinstance(made, gateway.InitiateAgentResponse)
        assert type_of((await api.events(made.run_id))[-1]) == "run_cancelled"
        return "stopped"

    outcomes = await asyncio.gather(*(one(number) for number in range(20)))
    assert set(outcomes) <= {"refused", "stopped"}


async def test_cancel_without_a_target_is_refused(api: Api) -> None:
    call = api.runs.CancelRun(runs.CancelRunRequest(), metadata=api.metadata, timeout=10)
    await refused(call, "INVALID_ARGUMENT", "INVALID_FIELDS")


@pytest.mark.row("B1")
async def test_watchers_of_a_deleted_thread_see_the_end_and_then_it_is_not_found(api: Api, stack: Stack) -> None:
    made = await talking(api, "deleted")
    last = (await api.get_run(made.run_id)).last_seq
    watches = [asyncio.create_task(api.events(made.run_id, after)) for after in (0, last)]
    await asyncio.wait(watches, timeout=0.5)
    delete = threads.DeleteThreadRequest(thread_id=made.thread_id)
    await api.threads.DeleteThread(delete, metadata=api.metadata, timeout=10)
    for seen in await asyncio.gather(*watches):
        assert seen[-1].run_cancelled.cause == event_pb2.CANCEL_CAUSE_THREAD_DELETED
    (call,) = await model_calls(stack, model=SILENT + "deleted", ended=1)
    assert call["ending"] == "client_closed"

    terms = {"metadata": api.metadata, "timeout": 10}
    await refused(api.events(made.run_id), "NOT_FOUND", "RUN_NOT_FOUND")
    await refused(api.get_run(made.run_id), "NOT_FOUND", "RUN_NOT_FOUND")
    await refused(api.cancel(made.run_id), "NOT_FOUND", "RUN_NOT_FOUND")
    await refused(api.messages(made.thread_id), "NOT_FOUND", "THREAD_NOT_FOUND")
    await refused(api.initiate("hello", thread_id=made.thread_id), "NOT_FOUND", "THREAD_NOT_FOUND")
    await refused(api.threads.DeleteThread(delete, **terms), "NOT_FOUND", "THREAD_NOT_FOUND")
    assert not (await api.runs.ListRuns(runs.ListRunsRequest(), **terms)).runs


async def test_deleting_a_thread_ends_its_queue_too(api: Api, stack: Stack) -> None:
    made = await talking(api, "deleted-queue")
    model = "scripted:count=1,tag=deleted-before-start"
    queued = await api.initiate(
        "later",
        thread_id=made.thread_id,
        agent_id=await api.make_agent(model),
        busy_strategy=run_pb2.BUSY_STRATEGY_ENQUEUE,
    )
    watch = asyncio.create_task(api.events(queued.run_id))
    await asyncio.wait([watch], timeout=0.5)
    delete = threads.DeleteThreadRequest(thread_id=made.thread_id)
    await api.threads.DeleteThread(delete, metadata=api.metadata, timeout=10)
    assert [type_of(event) for event in await watch] == ["run_queued", "run_cancelled"]
    assert await model_calls(stack, model=model) == []
