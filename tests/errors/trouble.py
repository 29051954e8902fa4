"""How each reason comes about, for each RPC that declares it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeAlias

import asyncpg
from every_rpc.catalogue import Rpc, all_rpcs
from every_rpc.recipe import new_key
from every_rpc.recipes import Asked, recipes_of
from every_rpc.recipes.tools import ARGUMENTS, of_call, of_denial
from every_rpc.requests import changed, value_at, with_token
from every_rpc.world import Estate, unknown_id
from google.protobuf.message import Message
from runs_world import superuser_url
from weft.runs.v1 import run_pb2
from weft.runs.v1 import run_service_pb2 as runs
from weft.tools.v1 import tool_service_pb2 as tools

# What an unknown id of each kind is answered with.
MISSING: Final = {
    "agt": "AGENT_NOT_FOUND",
    "agv": "AGENT_VERSION_NOT_FOUND",
    "prj": "PROJECT_NOT_FOUND",
    "doc": "DOCUMENT_NOT_FOUND",
    "tsk": "TASK_NOT_FOUND",
    "thr": "THREAD_NOT_FOUND",
    "att": "ATTACHMENT_NOT_FOUND",
    "run": "RUN_NOT_FOUND",
    "ten": "TENANT_NOT_FOUND",
    "key": "API_KEY_NOT_FOUND",
    "rnr": "RUNNER_UNKNOWN",
    "tlx": "TOOL_EXECUTION_LOST",
}


@dataclass(frozen=True)
class Attempt:
    """A request that fails; `who` asks where it is not the owner."""

    request: Message
    who: Estate | None = None
    run_token: str = ""


Make: TypeAlias = Callable[[Rpc, Estate], Awaitable[Attempt]]

TROUBLE: dict[tuple[str, str], Make] = {}


def trouble(reason: str, *names: str) -> Callable[[Make], Make]:
    """Register what makes these RPCs fail for this reason."""

    def register(make: Make) -> Make:
        for name in names:
            assert (name, reason) not in TROUBLE
            TROUBLE[name, reason] = make
        return make

    return register


def register_generic() -> None:
    """Unknown ids and page tokens come about in the same way everywhere."""
    for rpc in all_rpcs():
        for id_field in rpc.id_fields:
            if (reason := MISSING[id_field.prefix]) in rpc.contract.reasons and (rpc.name, reason) not in TROUBLE:
                TROUBLE[rpc.name, reason] = _unknown(id_field.path, id_field.prefix)
        if "PAGE_TOKEN_INVALID" in rpc.contract.reasons:
            TROUBLE[rpc.name, "PAGE_TOKEN_INVALID"] = _forged_page
        if "PAGE_TOKEN_EXPIRED" in rpc.contract.reasons:
            TROUBLE[rpc.name, "PAGE_TOKEN_EXPIRED"] = _second_page


def _unknown(path: str, prefix: str) -> Make:
    async def make(rpc: Rpc, owner: Estate) -> Attempt:
        for recipe in recipes_of(rpc):
            asked = await recipe.cook(owner)
            if value_at(asked.request, path):
                return Attempt(changed(asked.request, {path: unknown_id(prefix)}), run_token=asked.run_token)
        raise AssertionError(f"no recipe of {rpc} sets {path}")

    return make


async def _forged_page(rpc: Rpc, owner: Estate) -> Attempt:
    return Attempt(with_token((await _first(rpc, owner)).request, "Zm9yZ2Vk"))


async def _second_page(rpc: Rpc, owner: Estate) -> Attempt:
    """Return a request that holds a token of today; it is old for a server of tomorrow."""
    asked = await _first(rpc, owner)
    page: Any = await owner.do(asked.request)
    assert page.next_page_token, "there are two of everything, and the page has one"
    return Attempt(with_token(asked.request, page.next_page_token))


async def _first(rpc: Rpc, owner: Estate) -> Asked:
    return await recipes_of(rpc)[0].cook(owner)


INITIATES: Final = ("AgentGateway/InitiateAgent", "AgentGateway/StreamAgent", "AdmissionService/InitiateRun")


def _initiate(rpc: Rpc, **fields: Any) -> Any:
    made: Any = rpc.request
    asked = {"text": "hello", **fields}
    return made(initiate=asked) if rpc.method.name == "StreamAgent" else made(**asked)


@trouble("PROJECT_NOT_FOUND", *INITIATES)
async def initiate_in_unknown_project(rpc: Rpc, owner: Estate) -> Attempt:
    return Attempt(_initiate(rpc, project_id=unknown_id("prj")))


@trouble("PROJECT_MISMATCH", *INITIATES)
async def initiate_in_other_project(rpc: Rpc, owner: Estate) -> Attempt:
    other = owner.tenant.default_project_id
    return Attempt(_initiate(rpc, thread_id=owner.thread_id, project_id=other))


@trouble("REQUEST_ID_REUSED", *INITIATES)
async def initiate_with_used_key(rpc: Rpc, owner: Estate) -> Attempt:
    key = new_key()
    await owner.make_run(request_id=key)
    return Attempt(_initiate(rpc, request_id=key, thread_id=owner.thread_id))


@trouble("REQUEST_CANCELLED", *INITIATES)
async def initiate_after_cancel(rpc: Rpc, owner: Estate) -> Attempt:
    key = new_key()
    assert (await owner.do(runs.CancelRunRequest(request_id=key))).is_tombstone
    return Attempt(_initiate(rpc, request_id=key))


@trouble("THREAD_BUSY", *INITIATES)
async def initiate_in_busy_thread(rpc: Rpc, owner: Estate) -> Attempt:
    made = await owner.make_run()
    return Attempt(_initiate(rpc, thread_id=made.thread_id, busy_strategy=run_pb2.BUSY_STRATEGY_REJECT))


@trouble("THREAD_QUEUE_FULL", *INITIATES)
async def initiate_in_full_thread(rpc: Rpc, owner: Estate) -> Attempt:
    tight = await owner.world.make_estate("tight", max_queued_runs_per_thread=1)
    made = await tight.make_run()
    request = _initiate(rpc, thread_id=made.thread_id, busy_strategy=run_pb2.BUSY_STRATEGY_ENQUEUE)
    return Attempt(request, tight)


@trouble("ACTIVE_RUN_LIMIT", *INITIATES)
async def initiate_beside_active_run(rpc: Rpc, owner: Estate) -> Attempt:
    tight = await owner.world.make_estate("tight", max_active_runs=1)
    await tight.make_claimed_run()
    return Attempt(_initiate(rpc), tight)


@trouble("THREAD_LIMIT", *INITIATES)
async def initiate_one_thread_too_many(rpc: Rpc, owner: Estate) -> Attempt:
    return Attempt(_initiate(rpc), await _with_one_thread(owner))


@trouble("THREAD_LIMIT", "ThreadService/CreateThread")
async def create_one_thread_too_many(rpc: Rpc, owner: Estate) -> Attempt:
    return Attempt(rpc.request(), await _with_one_thread(owner))


async def _with_one_thread(owner: Estate) -> Estate:
    tight = await owner.world.make_estate("tight", max_threads=1)
    await tight.make_thread()
    return tight


@trouble("CURSOR_OUT_OF_RANGE", "AgentGateway/RunEvents", "RunLogService/ReadEvents")
async def watch_beyond_the_end(rpc: Rpc, owner: Estate) -> Attempt:
    made: Any = rpc.request
    return Attempt(made(run_id=owner.ended_run_id, after_seq=1_000_000))


@trouble("CURSOR_OUT_OF_RANGE", "RunLogService/ReadThreadEvents")
async def read_thread_beyond_the_end(rpc: Rpc, owner: Estate) -> Attempt:
    made: Any = rpc.request
    return Attempt(made(thread_id=owner.thread_id, after_seq=1_000_000))


@trouble("CURSOR_OUT_OF_RANGE", "AgentGateway/ThreadEvents")
async def watch_thread_beyond_the_end(rpc: Rpc, owner: Estate) -> Attempt:
    made: Any = rpc.request
    return Attempt(made(thread_id=owner.thread_id, after={"thread_seq": 1_000_000}))


@trouble("AGENT_IN_USE", "AgentService/DeleteAgent")
async def delete_agent_that_runs(rpc: Rpc, owner: Estate) -> Attempt:
    made: Any = rpc.request
    agent_id = await owner.make_agent()
    await owner.make_run(agent_id=agent_id)
    return Attempt(made(agent_id=agent_id))


@trouble("PROJECT_IN_USE", "ProjectService/DeleteProject")
async def delete_project_with_run(rpc: Rpc, owner: Estate) -> Attempt:
    made: Any = rpc.request
    return Attempt(made(project_id=(await owner.make_run()).project_id))


@trouble("TENANT_IN_USE", "TenantService/DeleteTenant")
async def delete_tenant_with_run(rpc: Rpc, owner: Estate) -> Attempt:
    made: Any = rpc.request
    return Attempt(made(tenant_id=owner.tenant_id))


@trouble("REQUEST_ID_REUSED", "TaskService/CreateTask")
async def create_task_with_used_key(rpc: Rpc, owner: Estate) -> Attempt:
    asked: Any = (await _first(rpc, owner)).request
    await owner.do(asked)
    asked.title = "another"
    return Attempt(asked)


@trouble("TOOL_NOT_FOUND", "ToolService/GetTool", "ToolService/ExecuteTool")
async def unknown_tool(rpc: Rpc, owner: Estate) -> Attempt:
    asked: Any = (await _first(rpc, owner)).request
    asked.name = "no_such_tool"
    return Attempt(asked)


@trouble("TOOL_NOT_ALLOWED", "ToolService/ExecuteTool", "ToolJournalService/BeginExecution")
async def tool_that_the_agent_has_not(rpc: Rpc, owner: Estate) -> Attempt:
    asked: Any = (await _first(rpc, owner)).request
    asked.agent_id = await owner.make_agent("read_document")
    return Attempt(asked)


@trouble("TOOL_ARGUMENTS_INVALID", "ToolService/ExecuteTool")
async def arguments_that_do_not_fit(rpc: Rpc, owner: Estate) -> Attempt:
    asked: Any = (await _first(rpc, owner)).request
    asked.arguments_json = '{"title": 7}'
    return Attempt(asked)


@trouble("REQUEST_ID_REUSED", "ToolService/ExecuteTool")
async def execute_with_used_key(rpc: Rpc, owner: Estate) -> Attempt:
    asked: Any = (await _first(rpc, owner)).request
    await owner.do(asked)
    asked.arguments_json = '{"title": "another"}'
    return Attempt(asked)


@trouble("REQUEST_ID_REUSED", "ToolJournalService/BeginExecution")
async def begin_with_used_key(rpc: Rpc, owner: Estate) -> Attempt:
    asked: Any = (await _first(rpc, owner)).request
    await owner.do(asked)
    asked.arguments_sha256 = bytes(32)
    return Attempt(asked)


RUNS_CALLS: Final = (
    "ToolService/ExecuteTool",
    "ToolJournalService/BeginExecution",
    "ToolJournalService/RecordDenied",
)


@trouble("RUN_NOT_FOUND", *RUNS_CALLS)
async def call_of_unknown_run(rpc: Rpc, owner: Estate) -> Attempt:
    return Attempt(_of_run(rpc), run_token=owner.run_token(unknown_id("run")))


@trouble("EPOCH_STALE", *RUNS_CALLS)
async def call_of_lost_run(rpc: Rpc, owner: Estate) -> Attempt:
    run = await owner.make_claimed_run()
    return Attempt(_of_run(rpc), run_token=owner.run_token(run.run_id, run.epoch - 1, run.agent_id))


def _of_run(rpc: Rpc) -> Any:
    made: Any = rpc.request
    place = tools.RunPlace(step=1)
    if rpc.name == "ToolService/ExecuteTool":
        return made(name="create_task", arguments_json=ARGUMENTS, run_place=place)
    return made(run_place=place, **(of_denial() if rpc.method.name == "RecordDenied" else of_call()))


@trouble("EPOCH_STALE", "AttachmentService/ReadAttachment", "AttachmentService/FinishAttachment")
async def file_for_a_lost_run(rpc: Rpc, owner: Estate) -> Attempt:
    asked = await _first(rpc, owner)
    request: Any = asked.request
    request.epoch -= 1
    return Attempt(request, run_token=asked.run_token)


@trouble("EPOCH_STALE", "RunQueueService/ReadContext")
async def context_of_lost_run(rpc: Rpc, owner: Estate) -> Attempt:
    made: Any = rpc.request
    run = await owner.make_claimed_run()
    return Attempt(made(run_id=run.run_id, epoch=run.epoch - 1), run_token=run.run_token)


@trouble("LEASE_EXPIRED", "RunQueueService/ClaimRuns")
async def claim_without_lease(rpc: Rpc, owner: Estate) -> Attempt:
    asked: Any = (await _first(rpc, owner)).request
    connection = await asyncpg.connect(superuser_url(owner.world.stack))
    try:
        await connection.execute(
            "UPDATE runners SET lease_expire_time = weft_now() - $1::interval WHERE host = 'test' AND runner_id = "
            "(SELECT max(runner_id::text)::uuid FROM runners WHERE host = 'test')",
            timedelta(seconds=1),
        )
    finally:
        await connection.close()
    return Attempt(asked)


register_generic()
