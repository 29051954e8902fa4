"""What the tools service relies on in the journal of tool calls."""

import asyncio
from typing import Any

import pytest
from contract.tool_journal.worlds import JournalWorld, seconds
from threads_world import Client, refused, unknown_id
from weft.runs.v1 import event_pb2
from weft.tools.v1 import tool_journal_service_pb2 as pb
from weft.tools.v1 import tool_service_pb2

SHORT, LONG = 0.3, 30.0
UNKNOWN = event_pb2.TOOL_FAILURE_REASON_OUTCOME_UNKNOWN


def a_begin(name: str = "effect", **fields: Any) -> pb.BeginExecutionRequest:
    lease = seconds(fields.pop("lease_seconds", LONG))
    settings: dict[str, Any] = {"arguments_sha256": b"a" * 32, "lease": lease}
    if "request_id" not in fields and "agent_id" not in fields:
        settings["run_place"] = tool_service_pb2.RunPlace(step=1, index=0)
    return pb.BeginExecutionRequest(name=name, **settings | fields)


async def begun(client: Client, request: pb.BeginExecutionRequest) -> pb.BeginExecutionResponse:
    return await client.journal.BeginExecution(request)


async def renew(client: Client, of: pb.BeginExecutionResponse, lease: float, attempt: int | None = None) -> None:
    await client.journal.RenewExecution(
        pb.RenewExecutionRequest(
            tool_execution_id=of.tool_execution_id, attempt=attempt or of.attempt, lease=seconds(lease)
        )
    )


async def finish(
    client: Client, of: pb.BeginExecutionResponse, content: str = "done", attempt: int | None = None
) -> None:
    await finish_as(client, of, pb.ExecutionResult(completed=tool_service_pb2.Completed(content=content)), attempt)


async def finish_as(
    client: Client, of: pb.BeginExecutionResponse, result: pb.ExecutionResult, attempt: int | None = None
) -> None:
    await client.journal.FinishExecution(
        pb.FinishExecutionRequest(tool_execution_id=of.tool_execution_id, attempt=attempt or of.attempt, result=result)
    )


def kind(answer: pb.BeginExecutionResponse) -> str:
    return str(answer.WhichOneof("outcome"))


async def test_a_run_takes_a_call_and_learns_where_it_works(world: JournalWorld) -> None:
    run = await world.run("effect")
    answer = await begun(run.client, a_begin())
    assert (kind(answer), answer.attempt) == ("claimed", 1)
    claimed = answer.claimed
    assert (claimed.run_id, claimed.thread_id, claimed.project_id, claimed.agent_id) == (
        run.run_id,
        run.thread_id,
        run.project_id,
        run.agent_id,
    )


async def test_a_caller_takes_a_call_in_the_default_project(world: JournalWorld) -> None:
    agent_id = await world.agent("effect")
    answer = await begun(world.caller, a_begin(agent_id=agent_id, request_id="r"))
    assert kind(answer) == "claimed"
    assert answer.claimed.agent_id == agent_id
    assert answer.claimed.project_id.startswith("prj_")
    assert (answer.claimed.run_id, answer.claimed.thread_id) == ("", "")


async def test_of_many_at_once_one_takes_the_call(world: JournalWorld) -> None:
    run = await world.run("effect")
    answers = await asyncio.gather(*(begun(run.client, a_begin()) for _ in range(20)))
    assert sorted(kind(answer) for answer in answers) == ["claimed"] + ["in_progress"] * 19
    assert len({answer.tool_execution_id for answer in answers}) == 1


async def test_a_finished_call_is_answered_as_it_ended(world: JournalWorld) -> None:
    run = await world.run("effect")
    first = await begun(run.client, a_begin())
    completed = tool_service_pb2.Completed(content="né 😀", is_truncated=True)
    await finish_as(run.client, first, pb.ExecutionResult(completed=completed))
    again = await begun(run.client, a_begin())
    assert kind(again) == "finished"
    assert (again.finished.completed.content, again.finished.completed.is_truncated) == ("né 😀", True)
    assert again.tool_execution_id == first.tool_execution_id


@pytest.mark.parametrize("reason", ["FAILED", "TIMED_OUT", "CANCELLED", "OUTCOME_UNKNOWN"])
async def test_a_failure_is_answered_with_its_reason(world: JournalWorld, reason: str) -> None:
    run = await world.run("effect")
    first = await begun(run.client, a_begin())
    value = event_pb2.ToolFailureReason.Value(f"TOOL_FAILURE_REASON_{reason}")
    await finish_as(run.client, first, pb.ExecutionResult(failed=tool_service_pb2.Failed(reason=value, message="why")))
    again = await begun(run.client, a_begin())
    assert (again.finished.failed.reason, again.finished.failed.message) == (value, "why")


async def test_the_first_outcome_stays_and_a_repeat_is_no_error(world: JournalWorld) -> None:
    run = await world.run("effect")
    first = await begun(run.client, a_begin())
    await finish(run.client, first, "first")
    await finish(run.client, first, "first")
    await finish(run.client, first, "second")
    assert (await begun(run.client, a_begin())).finished.completed.content == "first"
    with refused("TOOL_EXECUTION_LOST"):
        await renew(run.client, first, LONG)


async def test_after_the_lease_an_idempotent_call_begins_again_under_the_same_id(world: JournalWorld) -> None:
    run = await world.run("effect")
    first = await begun(run.client, a_begin(is_idempotent=True, lease_seconds=SHORT))
    assert kind(await begun(run.client, a_begin(is_idempotent=True))) == "in_progress"
    await asyncio.sleep(SHORT + 0.1)
    second = await begun(run.client, a_begin(is_idempotent=True))
    assert (kind(second), second.attempt, second.tool_execution_id) == ("claimed", 2, first.tool_execution_id)
    for lost in (renew(run.client, first, LONG), finish(run.client, first)):
        with refused("TOOL_EXECUTION_LOST"):
            await lost
    await finish(run.client, second, "second attempt")
    assert (await begun(run.client, a_begin())).finished.completed.content == "second attempt"


async def test_after_the_lease_another_call_is_unknown_for_ever(world: JournalWorld) -> None:
    run = await world.run("effect")
    first = await begun(run.client, a_begin(lease_seconds=SHORT))
    await asyncio.sleep(SHORT + 0.1)
    for _ in range(2):
        again = await begun(run.client, a_begin())
        assert again.finished.failed.reason == UNKNOWN
        assert again.finished.failed.message
    with refused("TOOL_EXECUTION_LOST"):
        await finish(run.client, first)
    with refused("TOOL_EXECUTION_LOST"):
        await renew(run.client, first, LONG)


async def test_a_renewed_lease_holds(world: JournalWorld) -> None:
    run = await world.run("effect")
    first = await begun(run.client, a_begin(lease_seconds=SHORT))
    for _ in range(4):
        await asyncio.sleep(SHORT / 2)
        await renew(run.client, first, SHORT + 1)
    assert kind(await begun(run.client, a_begin())) == "in_progress"


async def test_a_lease_of_a_millisecond_gives_the_call_back(world: JournalWorld) -> None:
    run = await world.run("effect")
    first = await begun(run.client, a_begin(is_idempotent=True))
    await renew(run.client, first, 0.001)
    await asyncio.sleep(0.01)
    assert kind(await begun(run.client, a_begin(is_idempotent=True))) == "claimed"


async def test_an_outcome_is_taken_after_the_lease_as_long_as_nobody_asked(world: JournalWorld) -> None:
    run = await world.run("effect")
    first = await begun(run.client, a_begin(lease_seconds=SHORT))
    await asyncio.sleep(SHORT + 0.1)
    await renew(run.client, first, SHORT)
    await asyncio.sleep(SHORT + 0.1)
    await finish(run.client, first, "late")
    assert (await begun(run.client, a_begin())).finished.completed.content == "late"


async def test_a_call_under_way_outlives_its_runner_and_the_next_one_finds_it(world: JournalWorld) -> None:
    run = await world.run("effect")
    first = await begun(run.client, a_begin())
    later = await world.take_over(run)
    assert later.epoch == run.epoch + 1
    with refused("EPOCH_STALE"):
        await begun(run.client, a_begin())
    await renew(run.client, first, LONG)
    assert kind(await begun(later.client, a_begin())) == "in_progress"
    await finish(run.client, first, "by the first")
    assert (await begun(later.client, a_begin())).finished.completed.content == "by the first"


async def test_a_call_is_taken_up_again_by_the_next_runner(world: JournalWorld) -> None:
    run = await world.run("effect")
    await begun(run.client, a_begin(is_idempotent=True, lease_seconds=SHORT))
    later = await world.take_over(run)
    await asyncio.sleep(SHORT + 0.1)
    again = await begun(later.client, a_begin(is_idempotent=True))
    assert (kind(again), again.attempt, again.claimed.run_id) == ("claimed", 2, run.run_id)


async def test_a_run_that_is_over_begins_nothing(world: JournalWorld) -> None:
    run = await world.run("effect")
    first = await begun(run.client, a_begin())
    await world.end(run)
    with refused("EPOCH_STALE"):
        await begun(run.client, a_begin(run_place=tool_service_pb2.RunPlace(step=1, index=1)))
    await finish(run.client, first)


async def test_places_of_a_run_are_calls_of_their_own(world: JournalWorld) -> None:
    run = await world.run("effect")
    places = [(1, 0), (1, 1), (2, 0)]
    answers = [
        await begun(run.client, a_begin(run_place=tool_service_pb2.RunPlace(step=step, index=index)))
        for step, index in places
    ]
    assert [kind(answer) for answer in answers] == ["claimed"] * 3
    assert len({answer.tool_execution_id for answer in answers}) == 3


@pytest.mark.parametrize("change", [{"arguments_sha256": b"b" * 32}, {"name": "other"}])
async def test_a_key_is_good_for_one_call(world: JournalWorld, change: dict[str, Any]) -> None:
    run = await world.run("effect", "other")
    await begun(run.client, a_begin())
    with refused("REQUEST_ID_REUSED"):
        await begun(run.client, a_begin(**{"name": "effect"} | change))


async def test_a_tool_that_the_agent_lacks_is_denied_and_recorded_each_time(world: JournalWorld) -> None:
    run = await world.run("other")
    agent_id = await world.agent("other")
    for _ in range(2):
        with refused("TOOL_NOT_ALLOWED") as refusal:
            await begun(run.client, a_begin())
        assert refusal.metadata == {"tool": "effect"}
    with refused("TOOL_NOT_ALLOWED"):
        await begun(world.caller, a_begin(agent_id=agent_id, request_id="r"))
    place = f"run/{run.run_id}/1/0"
    assert await world.denials() == [(place, "effect", "DENIED")] * 2 + [("request/r", "effect", "DENIED")]
    assert kind(await begun(run.client, a_begin("other"))) == "claimed"


async def test_a_refused_call_is_recorded_with_its_reason(world: JournalWorld) -> None:
    run, agent_id = await world.run("effect"), await world.agent("effect")
    by_run = pb.RecordDeniedRequest(
        name="no_such_tool",
        arguments_sha256=b"a" * 32,
        reason=event_pb2.TOOL_FAILURE_REASON_UNKNOWN_TOOL,
        run_place=tool_service_pb2.RunPlace(step=2, index=1),
    )
    by_caller = pb.RecordDeniedRequest(
        agent_id=agent_id,
        name="effect",
        arguments_sha256=b"a" * 32,
        reason=event_pb2.TOOL_FAILURE_REASON_ARGUMENTS_INVALID,
        request_id="r",
    )
    await run.client.journal.RecordDenied(by_run)
    await world.caller.journal.RecordDenied(by_caller)
    assert await world.denials() == [
        (f"run/{run.run_id}/2/1", "no_such_tool", "UNKNOWN_TOOL"),
        ("request/r", "effect", "ARGUMENTS_INVALID"),
    ]
    await world.end(run)
    with refused("EPOCH_STALE"):
        await run.client.journal.RecordDenied(by_run)
    by_caller.agent_id = unknown_id("agt")
    with refused("AGENT_NOT_FOUND"):
        await world.caller.journal.RecordDenied(by_caller)


async def test_ids_that_do_not_exist_are_named(world: JournalWorld) -> None:
    agent_id = await world.agent("effect")
    with refused("AGENT_NOT_FOUND"):
        await begun(world.caller, a_begin(agent_id=unknown_id("agt"), request_id="r"))
    with refused("PROJECT_NOT_FOUND"):
        await begun(world.caller, a_begin(agent_id=agent_id, project_id=unknown_id("prj"), request_id="r"))


async def test_a_key_that_does_not_fit_the_token_is_refused(world: JournalWorld) -> None:
    run, agent_id = await world.run("effect"), await world.agent("effect")
    with refused("INVALID_FIELDS"):
        await begun(run.client, a_begin(request_id="r"))
    with refused("INVALID_FIELDS"):
        place = tool_service_pb2.RunPlace(step=1)
        await begun(world.caller, a_begin(agent_id=agent_id, run_place=place))
    with refused("INVALID_FIELDS"):
        await begun(world.caller, a_begin(request_id="r"))


async def test_another_tenants_agent_and_call_do_not_exist(world: JournalWorld) -> None:
    agent_id = await world.agent("effect")
    first = await begun(world.caller, a_begin(agent_id=agent_id, request_id="r"))
    with refused("AGENT_NOT_FOUND"):
        await begun(world.stranger, a_begin(agent_id=agent_id, request_id="r"))
    for touch in (renew(world.stranger, first, LONG), finish(world.stranger, first, "stolen")):
        with refused("TOOL_EXECUTION_LOST"):
            await touch
    assert kind(await begun(world.caller, a_begin(agent_id=agent_id, request_id="r"))) == "in_progress"
