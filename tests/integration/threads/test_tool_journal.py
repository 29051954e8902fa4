"""ToolJournalService on the real service: allowed once, executed once, or known to be unknown."""

import asyncio
import hashlib
from dataclasses import dataclass
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from threads_world import Client, ThreadsWorld, all_refused, an_agent, refused, unknown_id, uuid_from
from weft.agents.v1 import agent_pb2, agent_service_pb2
from weft.runs.v1 import admission_service_pb2, event_pb2, run_queue_service_pb2, run_service_pb2
from weft.tenants.v1 import tenant_pb2
from weft.tools.v1 import tool_journal_service_pb2 as pb
from weft.tools.v1 import tool_service_pb2
from weft_core.ids import parse_id

ARGUMENTS = hashlib.sha256(b"{}").digest()
OTHER_ARGUMENTS = hashlib.sha256(b'{"a":1}').digest()
SHORT, LONG = Duration(nanos=1_000_000), Duration(seconds=30)


@dataclass
class Run:
    """A run that a runner has claimed, and what its token opens."""

    client: Client
    run_id: str
    thread_id: str
    epoch: int


def place(step: int = 1, index: int = 0) -> tool_service_pb2.RunPlace:
    return tool_service_pb2.RunPlace(step=step, index=index)


async def begin(client: Client, name: str = "create_task", **values: object) -> pb.BeginExecutionResponse:
    filled = {"arguments_sha256": ARGUMENTS, "lease": LONG, **values}
    return await client.journal.BeginExecution(pb.BeginExecutionRequest(name=name, **filled))  # type: ignore[arg-type]


async def finish(client: Client, begun: pb.BeginExecutionResponse, content: str = "done") -> None:
    result = pb.ExecutionResult(completed=tool_service_pb2.Completed(content=content))
    await client.journal.FinishExecution(
        pb.FinishExecutionRequest(tool_execution_id=begun.tool_execution_id, attempt=begun.attempt, result=result)
    )


async def renew(client: Client, begun: pb.BeginExecutionResponse, lease: Duration) -> None:
    await client.journal.RenewExecution(
        pb.RenewExecutionRequest(tool_execution_id=begun.tool_execution_id, attempt=begun.attempt, lease=lease)
    )


async def lease_is_over() -> None:
    """Let a lease of a millisecond, by the database's clock, run out."""
    await asyncio.sleep(0.01)


async def a_run(world: ThreadsWorld, *tools: str) -> tuple[tenant_pb2.Tenant, Run]:
    tenant, caller = await world.tenant()
    agent = await an_agent(caller, *tools)
    request = admission_service_pb2.InitiateRunRequest(text="hello", agent_id=agent.agent_id)
    made = await caller.admission.InitiateRun(request)
    return tenant, await claim(world, made.run_id)


async def claim(world: ThreadsWorld, run_id: str) -> Run:
    """Take the run up, passing over what other tests left in the queue."""
    queue = world.service("agent-runner").queue
    runner = await queue.RegisterRunner(run_queue_service_pb2.RegisterRunnerRequest(host="test"))
    async with asyncio.timeout(10):
        while True:
            request = run_queue_service_pb2.ClaimRunsRequest(runner_id=runner.runner_id, max_runs=50)
            for claimed in (await queue.ClaimRuns(request)).runs:
                if claimed.run_id == run_id:
                    client = world.client(claimed.run_token)
                    return Run(client, run_id, claimed.thread_id, claimed.epoch)


@pytest.mark.row("E5")
async def test_call_is_claimed_finished_and_then_answered_from_the_journal(world: ThreadsWorld) -> None:
    tenant, client = await world.tenant()
    agent_id = (await an_agent(client, "create_task")).agent_id
    begun = await begin(client, agent_id=agent_id, request_id="r")
    assert begun.attempt == 1
    assert begun.claimed == pb.Claimed(project_id=tenant.default_project_id, agent_id=agent_id)
    await finish(client, begun, "made tsk_1")
    again = await begin(client, agent_id=agent_id, request_id="r")
    assert again.tool_execution_id == begun.tool_execution_id
    assert again.finished.completed.content == "made tsk_1"
    assert again.finished.completed.duration.ToNanoseconds() > 0


async def test_exactly_one_of_many_is_given_the_call(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    agent_id = (await an_agent(client, "create_task")).agent_id
    answers = await asyncio.gather(*(begin(client, agent_id=agent_id, request_id="r") for _ in range(30)))
    outcomes = [answer.WhichOneof("outcome") or "" for answer in answers]
    assert sorted(outcomes) == ["claimed"] + ["in_progress"] * 29
    assert len({answer.tool_execution_id for answer in answers}) == 1


async def test_call_of_a_dead_process_is_unknown_for_ever(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    agent_id = (await an_agent(client, "create_task")).agent_id
    begun = await begin(client, agent_id=agent_id, request_id="r", lease=SHORT)
    await lease_is_over()
    for _ in range(2):
        found = await begin(client, agent_id=agent_id, request_id="r")
        assert found.finished.failed.reason == event_pb2.TOOL_FAILURE_REASON_OUTCOME_UNKNOWN
    with refused("TOOL_EXECUTION_LOST"):
        await finish(client, begun)
    with refused("TOOL_EXECUTION_LOST"):
        await renew(client, begun, LONG)


async def test_call_of_a_dead_process_is_begun_again_when_it_is_idempotent(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    agent_id = (await an_agent(client, "create_task")).agent_id
    first = await begin(client, agent_id=agent_id, request_id="r", lease=SHORT, is_idempotent=True)
    await lease_is_over()
    second = await begin(client, agent_id=agent_id, request_id="r", is_idempotent=True)
    assert (second.WhichOneof("outcome"), second.attempt) == ("claimed", 2)
    assert second.tool_execution_id == first.tool_execution_id
    with refused("TOOL_EXECUTION_LOST"):
        await finish(client, first, "of the dead")
    await finish(client, second, "of the living")
    found = await begin(client, agent_id=agent_id, request_id="r", is_idempotent=True)
    assert found.finished.completed.content == "of the living"


async def test_call_outlives_its_lease_when_nobody_else_asks(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    agent_id = (await an_agent(client, "create_task")).agent_id
    begun = await begin(client, agent_id=agent_id, request_id="r", lease=SHORT)
    await lease_is_over()
    await finish(client, begun, "late, but true")
    found = await begin(client, agent_id=agent_id, request_id="r")
    assert found.finished.completed.content == "late, but true"


async def test_renewed_call_stays_with_its_process(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    agent_id = (await an_agent(client, "create_task")).agent_id
    begun = await begin(client, agent_id=agent_id, request_id="r", lease=SHORT)
    await renew(client, begun, LONG)
    await lease_is_over()
    assert (await begin(client, agent_id=agent_id, request_id="r")).WhichOneof("outcome") == "in_progress"


async def test_first_outcome_stays_when_it_is_stored_twice(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    agent_id = (await an_agent(client, "create_task")).agent_id
    begun = await begin(client, agent_id=agent_id, request_id="r")
    await finish(client, begun, "first")
    await finish(client, begun, "second")
    found = await begin(client, agent_id=agent_id, request_id="r")
    assert found.finished.completed.content == "first"


async def test_failure_keeps_its_reason(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    agent_id = (await an_agent(client, "create_task")).agent_id
    begun = await begin(client, agent_id=agent_id, request_id="r")
    failed = tool_service_pb2.Failed(reason=event_pb2.TOOL_FAILURE_REASON_TIMED_OUT, message="took too long")
    request = pb.FinishExecutionRequest(
        tool_execution_id=begun.tool_execution_id, attempt=1, result=pb.ExecutionResult(failed=failed)
    )
    await client.journal.FinishExecution(request)
    found = (await begin(client, agent_id=agent_id, request_id="r")).finished.failed
    assert (found.reason, found.message) == (failed.reason, failed.message)


async def test_key_with_other_arguments_or_another_tool_is_refused(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    agent_id = (await an_agent(client, "create_task", "read_document")).agent_id
    await begin(client, agent_id=agent_id, request_id="r")
    with refused("REQUEST_ID_REUSED"):
        await begin(client, agent_id=agent_id, request_id="r", arguments_sha256=OTHER_ARGUMENTS)
    with refused("REQUEST_ID_REUSED"):
        await begin(client, "read_document", agent_id=agent_id, request_id="r")


@pytest.mark.row("E5")
async def test_tool_that_the_agent_lacks_is_denied_each_time_until_it_is_given(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    agent_id = (await an_agent(client, "read_document")).agent_id
    for _ in range(2):
        with refused("TOOL_NOT_ALLOWED") as refusal:
            await begin(client, agent_id=agent_id, request_id="r")
        assert refusal.metadata["tool"] == "create_task"
    change = agent_service_pb2.UpdateAgentRequest(agent_id=agent_id, spec=agent_pb2.AgentSpec(tools=["create_task"]))
    await client.agents.UpdateAgent(change)
    assert (await begin(client, agent_id=agent_id, request_id="r")).WhichOneof("outcome") == "claimed"


async def test_caller_is_told_what_is_wrong_with_the_call(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    agent_id = (await an_agent(client, "create_task")).agent_id
    with refused("AGENT_NOT_FOUND"):
        await begin(client, agent_id=unknown_id("agt"), request_id="r")
    with refused("PROJECT_NOT_FOUND"):
        await begin(client, agent_id=agent_id, project_id=unknown_id("prj"), request_id="r")
    for field, values in (
        ("agent_id", {"request_id": "r"}),
        ("run_place", {"agent_id": agent_id, "run_place": place()}),
        ("key", {"agent_id": agent_id}),
        ("arguments_sha256", {"agent_id": agent_id, "request_id": "r", "arguments_sha256": b"short"}),
    ):
        with refused("INVALID_FIELDS") as refusal:
            await begin(client, **values)
        assert refusal.fields == {field}


async def test_call_of_a_run_takes_place_in_the_run(world: ThreadsWorld) -> None:
    tenant, run = await a_run(world, "create_task")
    begun = await begin(run.client, run_place=place(1, 2))
    assert begun.claimed.run_id == run.run_id
    assert begun.claimed.thread_id == run.thread_id
    assert begun.claimed.project_id == tenant.default_project_id
    other = await begin(run.client, run_place=place(1, 3))
    assert other.tool_execution_id != begun.tool_execution_id
    with refused("INVALID_FIELDS") as refusal:
        await begin(run.client, request_id="r")
    assert refusal.fields == {"request_id"}


async def test_runner_that_lost_the_run_begins_nothing_and_may_finish_what_it_began(world: ThreadsWorld) -> None:
    tenant, run = await a_run(world, "create_task")
    begun = await begin(run.client, run_place=place())
    stale = world.client(
        world.signer.run_token(
            parse_id("ten", tenant.tenant_id),
            "key_test",
            ["tools.execute"],
            run_id=uuid_from(run.run_id),
            epoch=run.epoch - 1,
            agent_id=uuid_from(unknown_id("agt")),
            lifetime_seconds=60,
        )
    )
    with refused("EPOCH_STALE"):
        await begin(stale, run_place=place(1, 1))
    with refused("EPOCH_STALE"):
        await begin(stale, run_place=place())
    await finish(stale, begun, "what has happened has happened")
    found = await begin(run.client, run_place=place())
    assert found.finished.completed.content == "what has happened has happened"


async def test_run_that_has_ended_begins_nothing(world: ThreadsWorld) -> None:
    tenant, run = await a_run(world, "create_task")
    caller = world.caller(tenant.tenant_id)
    await caller.runs.CancelRun(run_service_pb2.CancelRunRequest(run_id=run.run_id, wait=Duration(seconds=5)))
    with refused("EPOCH_STALE"):
        await begin(run.client, run_place=place())


async def test_denial_before_the_call_is_recorded_and_blocks_nothing(world: ThreadsWorld) -> None:
    _, run = await a_run(world, "create_task")
    denied = pb.RecordDeniedRequest(
        name="no_such_tool",
        arguments_sha256=ARGUMENTS,
        reason=event_pb2.TOOL_FAILURE_REASON_UNKNOWN_TOOL,
        run_place=place(),
    )
    for _ in range(2):
        await run.client.journal.RecordDenied(denied)
    assert (await begin(run.client, run_place=place())).WhichOneof("outcome") == "claimed"


async def test_another_tenants_execution_is_lost_to_a_stranger(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    _, stranger = await world.tenant()
    agent_id = (await an_agent(client, "create_task")).agent_id
    begun = await begin(client, agent_id=agent_id, request_id="r")
    for execution_id in (begun.tool_execution_id, unknown_id("tlx")):
        result = pb.ExecutionResult(completed=tool_service_pb2.Completed(content="forged"))
        await all_refused(
            "TOOL_EXECUTION_LOST",
            (
                stranger.journal.FinishExecution,
                pb.FinishExecutionRequest(tool_execution_id=execution_id, attempt=1, result=result),
            ),
            (
                stranger.journal.RenewExecution,
                pb.RenewExecutionRequest(tool_execution_id=execution_id, attempt=1, lease=LONG),
            ),
        )
    with refused("AGENT_NOT_FOUND"):
        await begin(stranger, agent_id=agent_id, request_id="r")


async def test_exactly_one_of_many_begins_a_dead_processs_call_again(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    agent_id = (await an_agent(client, "create_task")).agent_id
    values: dict[str, Any] = {"agent_id": agent_id, "request_id": "r", "is_idempotent": True}
    await begin(client, lease=SHORT, **values)
    await lease_is_over()
    answers = await asyncio.gather(*(begin(client, **values) for _ in range(30)))
    claimed = [answer for answer in answers if answer.WhichOneof("outcome") == "claimed"]
    assert [answer.attempt for answer in claimed] == [2]
