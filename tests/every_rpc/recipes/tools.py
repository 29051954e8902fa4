"""Recipes of tools and their journal."""

import hashlib
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from weft.runs.v1 import event_pb2
from weft.tools.v1 import tool_journal_service_pb2 as journal
from weft.tools.v1 import tool_service_pb2 as tools

from every_rpc.recipe import Asked, new_key, plain, recipe
from every_rpc.world import Estate

ARGUMENTS = '{"title": "a task"}'
LEASE = Duration(seconds=30)


@plain(tools.GetToolRequest)
def _(estate: Estate) -> Message:
    return tools.GetToolRequest(name="create_task")


@plain(tools.ListToolsRequest)
def _(estate: Estate) -> Message:
    return tools.ListToolsRequest(page_size=1)


@plain(tools.ExecuteToolRequest)
def _(estate: Estate) -> Message:
    return tools.ExecuteToolRequest(
        agent_id=estate.agent_id,
        project_id=estate.project_id,
        name="create_task",
        arguments_json=ARGUMENTS,
        request_id=new_key(),
    )


@recipe(tools.ExecuteToolRequest, "run")
async def execute_tool_of_run(estate: Estate) -> Asked:
    run = await estate.make_claimed_run()
    place = tools.RunPlace(step=1)
    request = tools.ExecuteToolRequest(name="create_task", arguments_json=ARGUMENTS, run_place=place)
    return Asked(request, run.run_token)


@plain(journal.BeginExecutionRequest)
def begin_execution(estate: Estate) -> Message:
    return journal.BeginExecutionRequest(
        agent_id=estate.agent_id, project_id=estate.project_id, request_id=new_key(), **of_call()
    )


@recipe(journal.BeginExecutionRequest, "run")
async def begin_execution_of_run(estate: Estate) -> Asked:
    run = await estate.make_claimed_run()
    return Asked(journal.BeginExecutionRequest(run_place=tools.RunPlace(step=1), **of_call()), run.run_token)


@recipe(journal.RenewExecutionRequest)
async def renew_execution(estate: Estate) -> Asked:
    begun = await _begun(estate)
    request = journal.RenewExecutionRequest(tool_execution_id=begun.tool_execution_id, attempt=1, lease=LEASE)
    return Asked(request)


@recipe(journal.FinishExecutionRequest)
async def finish_execution(estate: Estate) -> Asked:
    begun = await _begun(estate)
    result = journal.ExecutionResult(completed=tools.Completed(content="{}"))
    return Asked(journal.FinishExecutionRequest(tool_execution_id=begun.tool_execution_id, attempt=1, result=result))


@plain(journal.RecordDeniedRequest)
def _(estate: Estate) -> Message:
    return journal.RecordDeniedRequest(agent_id=estate.agent_id, request_id=new_key(), **of_denial())


@recipe(journal.RecordDeniedRequest, "run")
async def record_denied_of_run(estate: Estate) -> Asked:
    run = await estate.make_claimed_run()
    return Asked(journal.RecordDeniedRequest(run_place=tools.RunPlace(step=1), **of_denial()), run.run_token)


async def _begun(estate: Estate) -> journal.BeginExecutionResponse:
    request = journal.BeginExecutionRequest(
        agent_id=estate.agent_id, project_id=estate.project_id, request_id=new_key(), **of_call()
    )
    begun: journal.BeginExecutionResponse = await estate.do(request)
    return begun


def of_call() -> dict[str, Any]:
    digest = hashlib.sha256(ARGUMENTS.encode()).digest()
    return {"name": "create_task", "arguments_sha256": digest, "lease": LEASE}


def of_denial() -> dict[str, Any]:
    reason = event_pb2.TOOL_FAILURE_REASON_UNKNOWN_TOOL
    return {"name": "no_such_tool", "arguments_sha256": bytes(32), "reason": reason}
