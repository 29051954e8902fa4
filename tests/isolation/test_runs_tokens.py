"""The token of a run opens that run's calls, and no other run's of the same tenant."""

import pytest
from every_rpc.recipes import recipes_of
from every_rpc.recipes.tools import LEASE, of_call
from every_rpc.world import BY_REQUEST, Estate, World
from google.protobuf.message import Message
from weft.runs.v1 import run_queue_service_pb2 as queue
from weft.tools.v1 import tool_journal_service_pb2 as journal
from weft.tools.v1 import tool_service_pb2 as tools

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.row("E3", "G9")]


async def test_another_run_does_not_read_a_runs_context(world: World, owner: Estate) -> None:
    rpc = BY_REQUEST[queue.ReadContextRequest.DESCRIPTOR.full_name]
    asked, other = await recipes_of(rpc)[0].cook(owner), await owner.make_claimed_run()
    told = await world.ask_inner(rpc, asked.request, other.run_token)
    assert told.verdict == ("NOT_FOUND", "RUN_NOT_FOUND")
    assert (await world.ask_inner(rpc, asked.request, owner.token())).verdict == ("UNAUTHENTICATED", "TOKEN_INVALID")
    assert (await world.ask_inner(rpc, asked.request, asked.run_token)).is_ok


@pytest.mark.parametrize("kind", ["renew", "finish"])
async def test_another_run_does_not_touch_a_runs_tool_call(world: World, owner: Estate, kind: str) -> None:
    run, other = await owner.make_claimed_run(), await owner.make_claimed_run()
    begin = journal.BeginExecutionRequest(run_place=tools.RunPlace(step=1), **of_call())
    begun = await world.ask_inner(BY_REQUEST[begin.DESCRIPTOR.full_name], begin, run.run_token)
    request = _of_begun(kind, begun.responses[0].tool_execution_id)
    rpc = BY_REQUEST[request.DESCRIPTOR.full_name]
    for token in (other.run_token, owner.token()):
        told = await world.ask_inner(rpc, request, token)
        assert told.verdict == ("FAILED_PRECONDITION", "TOOL_EXECUTION_LOST"), str(told)
    assert (await world.ask_inner(rpc, request, run.run_token)).is_ok


@pytest.mark.parametrize("kind", ["renew", "finish"])
async def test_a_run_does_not_touch_a_callers_tool_call(world: World, owner: Estate, kind: str) -> None:
    run = await owner.make_claimed_run()
    begun = await owner.do(
        journal.BeginExecutionRequest(
            agent_id=owner.agent_id, project_id=owner.project_id, request_id=f"of-a-caller-{kind}", **of_call()
        )
    )
    request = _of_begun(kind, begun.tool_execution_id)
    rpc = BY_REQUEST[request.DESCRIPTOR.full_name]
    told = await world.ask_inner(rpc, request, run.run_token)
    assert told.verdict == ("FAILED_PRECONDITION", "TOOL_EXECUTION_LOST"), str(told)
    assert (await world.ask_inner(rpc, request, owner.token())).is_ok


def _of_begun(kind: str, execution_id: str) -> Message:
    if kind == "renew":
        return journal.RenewExecutionRequest(tool_execution_id=execution_id, attempt=1, lease=LEASE)
    result = journal.ExecutionResult(completed=tools.Completed(content="{}"))
    return journal.FinishExecutionRequest(tool_execution_id=execution_id, attempt=1, result=result)
