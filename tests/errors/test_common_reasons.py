"""The reasons that any method may answer with, each from a real cause."""

import asyncio
from typing import Any

import asyncpg
import grpc
import pytest
from every_rpc.answers import Answer, ask, ask_path
from every_rpc.catalogue import Rpc, all_reasons
from every_rpc.recipes import recipes_of
from every_rpc.servers import NOBODY_LISTENS, a_gateway, a_threads_server
from every_rpc.world import BY_REQUEST, Estate, World
from google.protobuf.message import Message
from runs_world import superuser_url
from weft.gateway.v1 import agent_gateway_service_pb2 as gateway
from weft.projects.v1 import project_service_pb2 as projects
from weft.runs.v1 import run_service_pb2 as runs
from weft.tasks.v1 import task_service_pb2 as tasks
from weft.tools.v1 import tool_service_pb2 as tools
from weft_core.page_tokens import PageTokens
from weft_grpckit.tokens import token_metadata

pytestmark = pytest.mark.asyncio(loop_scope="session")

COMMON = {reason.name for reason in all_reasons().values() if reason.is_common}
PRODUCED_HERE = {
    "API_KEY_MISSING",
    "API_KEY_INVALID",
    "SCOPE_MISSING",
    "TOKEN_INVALID",
    "INVALID_FIELDS",
    "DATABASE_UNAVAILABLE",
    "SERVICE_UNAVAILABLE",
    "SERVER_STOPPING",
    "OVERLOADED",
    "DEADLINE_EXCEEDED",
    "INTERNAL",
    "METHOD_UNKNOWN",
}


def kept(told: Answer, reason: str) -> Answer:
    promised = all_reasons()[reason]
    assert told.verdict == (promised.code, reason), str(told)
    assert promised.metadata <= set(told.metadata)
    assert told.retry_seconds is not None or not promised.has_retry_info
    return told


def rpc_of(request: type[Message]) -> Rpc:
    return BY_REQUEST[request.DESCRIPTOR.full_name]


LIST_PROJECTS = rpc_of(projects.ListProjectsRequest)


async def test_every_common_reason_is_produced_here() -> None:
    assert COMMON == PRODUCED_HERE


async def test_credentials_at_the_edge_and_behind_it(world: World, owner: Estate) -> None:
    request = projects.ListProjectsRequest()
    kept(await world.ask_gateway(LIST_PROJECTS, request, ""), "API_KEY_MISSING")
    kept(await world.ask_gateway(LIST_PROJECTS, request, "weft_nobody's"), "API_KEY_INVALID")
    narrow = (await owner.make_key(["runs.read"])).secret
    told = kept(await world.ask_gateway(LIST_PROJECTS, request, narrow), "SCOPE_MISSING")
    assert told.metadata == {"scope": "projects.read"}
    kept(await world.ask_inner(LIST_PROJECTS, request, ""), "TOKEN_INVALID")
    told = await world.ask_gateway(LIST_PROJECTS, projects.ListProjectsRequest(page_size=1001), owner.key)
    assert kept(told, "INVALID_FIELDS").fields == ("page_size",)


@pytest.mark.parametrize("server", ["gateway", "threads", "tools", "agent-runner"])
async def test_a_method_that_does_not_exist_is_named(world: World, owner: Estate, server: str) -> None:
    told = await ask_path(world.channels[server], "/weft.runs.v1.RunService/Nothing", b"", (("x-api-key", owner.key),))
    assert "/weft.runs.v1.RunService/Nothing" in kept(told, "METHOD_UNKNOWN").message


async def test_without_a_database(world: World, owner: Estate) -> None:
    tokens = PageTokens(bytes(32))
    async with a_threads_server(world.stack, tokens, database=NOBODY_LISTENS) as own:
        for request in (projects.ListProjectsRequest(), tasks.ListTasksRequest(), runs.ListRunsRequest()):
            rpc = rpc_of(type(request))
            told = await ask(own.channel, rpc, request, token_metadata(owner.token()))
            kept(told, "DATABASE_UNAVAILABLE")


async def test_without_the_service_behind_the_gateway(world: World, owner: Estate) -> None:
    metadata = (("x-api-key", owner.key),)
    async with a_gateway(world.stack, tools_addresses=NOBODY_LISTENS) as own:
        told = await ask(own.channel, rpc_of(tools.ListToolsRequest), tools.ListToolsRequest(), metadata)
        kept(told, "SERVICE_UNAVAILABLE")
        asked = (await recipes_of(rpc_of(tools.ExecuteToolRequest))[0].cook(owner)).request
        kept(await ask(own.channel, rpc_of(tools.ExecuteToolRequest), asked, metadata), "SERVICE_UNAVAILABLE")
    async with a_gateway(world.stack, threads_addresses=NOBODY_LISTENS) as own:  # it cannot even ask whose key it is
        kept(await ask(own.channel, LIST_PROJECTS, projects.ListProjectsRequest(), metadata), "SERVICE_UNAVAILABLE")


async def test_a_gateway_that_is_full_and_then_stops(world: World, owner: Estate) -> None:
    metadata = (("x-api-key", owner.key),)
    async with a_gateway(world.stack, max_calls=1) as own:
        watch = asyncio.create_task(_watched(own.channel, (await owner.make_run()).run_id, metadata))
        await asyncio.wait([watch], timeout=1)
        kept(await ask(own.channel, LIST_PROJECTS, projects.ListProjectsRequest(), metadata), "OVERLOADED")
        own.program.stopping.set()
        async with asyncio.timeout(10):
            kept(await watch, "SERVER_STOPPING")


async def _watched(channel: grpc.aio.Channel, run_id: str, metadata: Any) -> Answer:
    return await ask(channel, rpc_of(gateway.RunEventsRequest), gateway.RunEventsRequest(run_id=run_id), metadata)


async def test_a_deadline_that_passes(world: World, owner: Estate) -> None:
    """The server's answer and the client's own clock race by milliseconds: some of the answers must get through."""
    request = runs.WaitRunRequest(run_id=(await owner.make_run()).run_id)
    rpc, answers = rpc_of(runs.WaitRunRequest), []
    for _ in range(10):
        told = await ask_path(
            world.channels["gateway"],
            rpc.contract.path,
            request.SerializeToString(),
            (("x-api-key", owner.key),),
            seconds=0.5,
        )
        assert told.code is grpc.StatusCode.DEADLINE_EXCEEDED
        answers.append(told)
        if told.reason:
            break
    kept(answers[-1], "DEADLINE_EXCEEDED")


async def test_a_fault_of_the_server_says_where_to_look_and_nothing_else(world: World, owner: Estate) -> None:
    request = tasks.GetTaskRequest(task_id=owner.task_id)
    connection = await asyncpg.connect(superuser_url(world.stack))
    try:
        await connection.execute("ALTER TABLE tasks RENAME TO tasks_elsewhere")
        told = await world.ask_gateway(rpc_of(tasks.GetTaskRequest), request, owner.key)
    finally:
        await connection.execute("ALTER TABLE tasks_elsewhere RENAME TO tasks")
        await connection.close()
    assert kept(told, "INTERNAL").message == "internal error"
    log = await asyncio.to_thread(world.stack.log("threads").read_text)
    assert told.metadata["trace_id"] in log
    assert (await world.ask_gateway(rpc_of(tasks.GetTaskRequest), request, owner.key)).is_ok
