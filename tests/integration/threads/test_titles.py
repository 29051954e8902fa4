"""Titles on the real service: of the first run that succeeds, once, and never over somebody's own."""

import asyncio
from typing import Any

import asyncpg
import pytest
from runs_world import superuser_url
from threads_world import Client, ThreadsWorld, refused, uuid_from
from weft.runs.v1 import admission_service_pb2, run_pb2, run_queue_service_pb2, run_service_pb2, thread_event_pb2
from weft.threads.v1 import message_pb2, thread_pb2, thread_service_pb2
from weft_cli.stack import Stack

USAGE = run_pb2.Usage(input_tokens=70, output_tokens=7, cached_input_tokens=3)


class Runner:
    def __init__(self, world: ThreadsWorld, runner_id: str) -> None:
        self.world, self.runner_id = world, runner_id
        self.queue = world.service("agent-runner").queue

    async def claim(self, run_id: str) -> run_queue_service_pb2.ClaimedRun:
        request = run_queue_service_pb2.ClaimRunsRequest(runner_id=self.runner_id, max_runs=50)
        async with asyncio.timeout(10):
            while True:
                for claimed in (await self.queue.ClaimRuns(request)).runs:
                    if claimed.run_id == run_id:
                        return claimed

    async def end(self, run: run_queue_service_pb2.ClaimedRun, *, succeed: bool = True) -> None:
        entry = run_queue_service_pb2.CommitEntry(
            tenant_id=run.tenant_id, run_id=run.run_id, epoch=run.epoch, expected_seq=run.last_seq
        )
        entry.finish_step.step, entry.finish_step.attempt = run.begun_step.step, run.begun_step.attempt
        entry.finish_step.is_succeeded = succeed
        if succeed:
            entry.messages.add(
                message_id=run.begun_step.message_id,
                step=run.begun_step.step,
                role=message_pb2.ROLE_ASSISTANT,
                parts=[message_pb2.Part(text="answer")],
            )
            entry.transition.succeed.finish = run_pb2.FINISH_STOP
        else:
            entry.transition.fail.reason = run_pb2.FAILURE_REASON_MODEL_REFUSED
        response = await self.queue.Commit(
            run_queue_service_pb2.CommitRequest(runner_id=self.runner_id, entries=[entry])
        )
        assert response.results[0].data_error == ""

    async def offer(self, run: run_queue_service_pb2.ClaimedRun, title: str = "A title") -> bool:
        client = self.world.client(run.run_token)
        request = run_queue_service_pb2.OfferTitleRequest(
            run_id=run.run_id, title=title, model="m", usage=USAGE, cost_micros=12
        )
        return (await client.queue.OfferTitle(request)).is_taken


@pytest.fixture
async def runner(world: ThreadsWorld) -> Runner:
    request = run_queue_service_pb2.RegisterRunnerRequest(host="test")
    return Runner(world, (await world.service("agent-runner").queue.RegisterRunner(request)).runner_id)


async def initiate(client: Client, thread_id: str = "") -> admission_service_pb2.InitiateRunResponse:
    request = admission_service_pb2.InitiateRunRequest(text="how do I prune roses", thread_id=thread_id)
    return await client.admission.InitiateRun(request)


async def thread_of(client: Client, thread_id: str) -> thread_pb2.Thread:
    return (await client.threads.GetThread(thread_service_pb2.GetThreadRequest(thread_id=thread_id))).thread


async def rename(client: Client, thread_id: str, title: str) -> None:
    await client.threads.UpdateThread(thread_service_pb2.UpdateThreadRequest(thread_id=thread_id, title=title))


async def rows_of(stack: Stack, query: str, key: str) -> list[Any]:
    connection = await asyncpg.connect(superuser_url(stack))
    try:
        return list(await connection.fetch(query, uuid_from(key)))
    finally:
        await connection.close()


async def title_events(stack: Stack, thread_id: str) -> list[str]:
    query = "SELECT payload FROM thread_events WHERE thread_id = $1 AND type = 'title.updated' ORDER BY seq"
    rows = await rows_of(stack, query, thread_id)
    return [thread_event_pb2.ThreadTitleUpdated.FromString(row["payload"]).title for row in rows]


async def title_calls(stack: Stack, run_id: str) -> list[Any]:
    return await rows_of(stack, "SELECT * FROM run_steps WHERE run_id = $1 AND step = 0", run_id)


@pytest.mark.row("A3")
async def test_title_of_the_first_run_is_taken_once_and_counted_once(
    world: ThreadsWorld, runner: Runner, stack: Stack
) -> None:
    _, client = await world.tenant()
    made = await initiate(client)
    assert (await thread_of(client, made.thread_id)).title == "how do I prune roses"
    run = await runner.claim(made.run_id)
    assert run.wants_title
    assert not await runner.offer(run, "too early")
    await runner.end(run)
    before = (await client.runs.GetRun(run_service_pb2.GetRunRequest(run_id=made.run_id))).run
    answers = await asyncio.gather(*(runner.offer(run, "Pruning roses") for _ in range(10)))
    assert sorted(answers) == [False] * 9 + [True]
    assert not await runner.offer(run, "again")
    assert (await thread_of(client, made.thread_id)).title == "Pruning roses"
    assert await title_events(stack, made.thread_id) == ["Pruning roses"]
    (call,) = await title_calls(stack, made.run_id)
    assert (call["input_tokens"], call["output_tokens"], call["cached_input_tokens"]) == (70, 7, 3)
    assert (call["model"], call["cost_micros"]) == ("m", 12)
    after = (await client.runs.GetRun(run_service_pb2.GetRunRequest(run_id=made.run_id))).run
    assert after == before, "the run had ended, and stays as it was"


async def test_title_is_wanted_of_no_later_run(world: ThreadsWorld, runner: Runner) -> None:
    _, client = await world.tenant()
    first = await initiate(client)
    failed = await runner.claim(first.run_id)
    await runner.end(failed, succeed=False)
    assert not await runner.offer(failed), "a run that failed gives no title"
    second = await initiate(client, first.thread_id)
    run = await runner.claim(second.run_id)
    assert run.wants_title, "the first run that succeeds may still do so"
    await runner.end(run)
    third = await initiate(client, first.thread_id)
    assert not (await runner.claim(third.run_id)).wants_title


async def test_title_of_a_run_that_did_not_succeed_is_counted_and_not_taken(
    world: ThreadsWorld, runner: Runner, stack: Stack
) -> None:
    """A merge may come between the runner's last look and its success: the call is paid for all the same."""
    _, client = await world.tenant()
    first = await initiate(client)
    run = await runner.claim(first.run_id)
    merge = admission_service_pb2.InitiateRunRequest(
        text="and tulips", thread_id=first.thread_id, busy_strategy=run_pb2.BUSY_STRATEGY_MERGE
    )
    await client.admission.InitiateRun(merge)
    await runner.end(run)
    ended = (await client.runs.GetRun(run_service_pb2.GetRunRequest(run_id=first.run_id))).run
    assert ended.state == run_pb2.RUN_STATE_SUPERSEDED
    assert [await runner.offer(run) for _ in range(2)] == [False, False]
    (call,) = await title_calls(stack, first.run_id)
    assert (call["input_tokens"], call["output_tokens"], call["cost_micros"]) == (70, 7, 12)
    assert await title_events(stack, first.thread_id) == []


@pytest.mark.row("A3")
async def test_title_of_somebody_stays(world: ThreadsWorld, runner: Runner, stack: Stack) -> None:
    _, client = await world.tenant()
    first = await initiate(client)
    run = await runner.claim(first.run_id)
    await runner.end(run)
    await rename(client, first.thread_id, "Mine")
    assert not await runner.offer(run)
    assert (await thread_of(client, first.thread_id)).title == "Mine"
    assert await title_events(stack, first.thread_id) == ["Mine"]
    assert len(await title_calls(stack, first.run_id)) == 1, "the call was made, and is counted"
    given = (await client.threads.CreateThread(thread_service_pb2.CreateThreadRequest(title="Given"))).thread
    made = await initiate(client, given.thread_id)
    assert not (await runner.claim(made.run_id)).wants_title


async def test_title_is_offered_by_the_run_itself_only(world: ThreadsWorld, runner: Runner) -> None:
    _, client = await world.tenant()
    run, other = [await runner.claim((await initiate(client)).run_id) for _ in range(2)]
    await runner.end(run)
    other.run_id = run.run_id
    with refused("RUN_NOT_FOUND"):
        await runner.offer(other)
    await client.threads.DeleteThread(thread_service_pb2.DeleteThreadRequest(thread_id=run.thread_id))
    with refused("RUN_NOT_FOUND"):
        await runner.offer(run)
