"""The tools service on the real threads service: the built-in tools, and PostgreSQL or a process lost in mid-call."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from integration.tools.harness import a_place, a_request, eventually, failure_of, last_of, within
from threads_world import SCOPES, Client, ThreadsWorld, an_agent
from weft.documents.v1 import document_service_pb2
from weft.projects.v1 import project_service_pb2
from weft.runs.v1 import admission_service_pb2, event_pb2, run_pb2, run_service_pb2
from weft.runs.v1 import run_queue_service_pb2 as queue_pb
from weft.tasks.v1 import task_service_pb2
from weft.tools.v1 import tool_service_pb2_grpc
from weft_cli.stack import Stack
from weft_core.ids import parse_id
from weft_grpckit.channels import ServiceChannel, open_channel
from weft_grpckit.status import reason_of
from weft_grpckit.tokens import TokenSigner
from weft_testkit.effect_tools import EFFECTS_FILE, effects_in

BUILT_IN = ("search_documents", "read_document", "create_task", "list_projects", "list_documents")


@dataclass
class Real:
    stack: Stack
    world: ThreadsWorld
    client: Client
    tools: ServiceChannel
    effects: Path

    @property
    def stub(self) -> Any:
        return tool_service_pb2_grpc.ToolServiceStub(self.tools)

    def as_caller(self, tenant_id: str) -> list[tuple[str, str]]:
        return [("weft-token", self.world.signer.caller_token(parse_id("ten", tenant_id), "ada", SCOPES))]

    async def run(self, *tools: str) -> queue_pb.ClaimedRun:
        agent = await an_agent(self.client, *tools)
        request = admission_service_pb2.InitiateRunRequest(text="hello", agent_id=agent.agent_id)
        run_id = (await self.client.admission.InitiateRun(request)).run_id
        queue = self.world.service("agent-runner").queue
        runner_id = (await queue.RegisterRunner(queue_pb.RegisterRunnerRequest(host=f"test {uuid4()}"))).runner_id
        answer = await queue.ClaimRuns(queue_pb.ClaimRunsRequest(runner_id=runner_id, max_runs=100))
        return next(run for run in answer.runs if run.run_id == run_id)


def as_run(run: queue_pb.ClaimedRun) -> list[tuple[str, str]]:
    return [("weft-token", run.run_token)]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, Path]]:
    effects = tmp_path_factory.mktemp("effects") / "effects"
    tools = {
        "WEFT_STRICT_REASONS": "true",
        "WEFT_TOOL_PLUGINS": "weft_testkit.effect_tools:effect_tools",
        EFFECTS_FILE: str(effects),
    }
    env = {"threads": {"WEFT_STRICT_REASONS": "true"}, "tools": tools}
    members = {"postgres", "redis", "threads", "tools"}
    with Stack(members=members, postgres_settings={"fsync": "off"}, env=env) as stack:
        yield stack, effects


@pytest.fixture
async def real(stack: tuple[Stack, Path]) -> AsyncIterator[Real]:
    running, effects = stack
    effects.unlink(missing_ok=True)
    world = ThreadsWorld(running.address("threads"), TokenSigner(bytes.fromhex(running.token_key)))
    _, client = await world.tenant()
    async with open_channel(running.address("tools")) as channel:
        yield Real(running, world, client, channel, effects)
    await world.close()


async def put(client: Client, project_id: str, title: str, text: str) -> str:
    request = document_service_pb2.PutDocumentRequest(project_id=project_id, title=title, text=text)
    return (await client.documents.PutDocument(request)).document.document_id


async def called(real: Real, run: queue_pb.ClaimedRun, index: int, name: str, **arguments: Any) -> Any:
    request = a_place(name, index=index, arguments=json.dumps(arguments))
    outcome = await last_of(real.stub.ExecuteTool(request, metadata=as_run(run)), 20)
    return json.loads(outcome.content)


async def test_a_run_searches_reads_and_makes_a_task_in_its_project(real: Real) -> None:
    run = await real.run(*BUILT_IN)
    text = "# Leases\n" + "Nothing to see here. " * 900 + "A heartbeat renews the lease of a zeppelin."
    document_id = await put(real.client, run.project_id, "docs/leases.md", text)
    await put(real.client, run.project_id, "docs/other.md", "About other things.")
    found = await called(real, run, 0, "search_documents", query="zeppelin lease")
    assert found["hits"][0]["document_id"] == document_id
    assert "zeppelin" in found["hits"][0]["snippet"]
    near = await called(real, run, 1, "read_document", document=document_id, offset=found["hits"][0]["offset"])
    assert "zeppelin" in near["text"] or near["next_offset"]
    whole, offset = "", 0
    for index in range(2, 6):
        passage = await called(real, run, index, "read_document", document="docs/leases.md", offset=offset, length=9000)
        whole, offset = whole + passage["text"], passage.get("next_offset", 0)
        if not offset:
            break
    assert whole == text
    made = await called(real, run, 9, "create_task", title="Renew it", description="soon")
    again = await called(real, run, 9, "create_task", title="Renew it", description="soon")
    assert made == again
    tasks = (await real.client.tasks.ListTasks(task_service_pb2.ListTasksRequest(project_id=run.project_id))).tasks
    assert [(task.task_id, task.title, task.run_id) for task in tasks] == [(made["task_id"], "Renew it", run.run_id)]


async def test_a_run_lists_the_projects_and_the_documents_of_its_tenant_page_by_page(real: Real) -> None:
    run = await real.run(*BUILT_IN)
    made = project_service_pb2.CreateProjectRequest(display_name="Garden")
    garden = (await real.client.projects.CreateProject(made)).project.project_id
    for number in range(3):
        await put(real.client, garden, f"notes {number}", "text")
    await put(real.client, run.project_id, "of the run", "text")
    first = await called(real, run, 0, "list_projects", page_size=1)
    assert first["projects"] == [{"project_id": garden, "name": "Garden", "is_current": False}]
    rest = await called(real, run, 1, "list_projects", page_size=1, page_token=first["next_page_token"])
    assert [(each["project_id"], each["is_current"]) for each in rest["projects"]] == [(run.project_id, True)]
    assert "next_page_token" not in rest
    own = await called(real, run, 2, "list_documents")
    assert [(each["title"], each["size_bytes"]) for each in own["documents"]] == [("of the run", 4)]
    newest = await called(real, run, 3, "list_documents", project_id=garden, page_size=2)
    older = await called(real, run, 4, "list_documents", project_id=garden, page_token=newest["next_page_token"])
    titles = [each["title"] for page in (newest, older) for each in page["documents"]]
    assert titles == ["notes 2", "notes 1", "notes 0"]
    moved = a_place("list_documents", index=5, arguments=json.dumps({"page_token": newest["next_page_token"]}))
    refused = await last_of(real.stub.ExecuteTool(moved, metadata=as_run(run)))
    assert "PAGE_TOKEN_INVALID" in refused.message


async def test_a_run_sees_nothing_of_another_tenant(real: Real) -> None:
    tenant, stranger = await real.world.tenant()
    stranger_metadata = real.as_caller(tenant.tenant_id)
    agent = await an_agent(stranger, *BUILT_IN)
    mine = await real.run(*BUILT_IN)
    document_id = await put(real.client, mine.project_id, "secret", "the zeppelin is secret")
    search = a_request(agent.agent_id, "search_documents", '{"query": "zeppelin"}')
    outcome = await last_of(real.stub.ExecuteTool(search, metadata=stranger_metadata))
    assert json.loads(outcome.content)["hits"] == []
    read = a_request(agent.agent_id, "read_document", json.dumps({"document": document_id}))
    outcome = await last_of(real.stub.ExecuteTool(read, metadata=stranger_metadata))
    assert "DOCUMENT_NOT_FOUND" in outcome.message
    listing = a_request(agent.agent_id, "list_projects")
    outcome = await last_of(real.stub.ExecuteTool(listing, metadata=stranger_metadata))
    assert mine.project_id not in outcome.content
    listing = a_request(agent.agent_id, "list_documents", json.dumps({"project_id": mine.project_id}))
    outcome = await last_of(real.stub.ExecuteTool(listing, metadata=stranger_metadata))
    assert "PROJECT_NOT_FOUND" in outcome.message
    there = a_request(agent.agent_id, "create_task", '{"title": "x"}', project_id=mine.project_id)
    error = await failure_of(real.stub.ExecuteTool(there, metadata=stranger_metadata))
    assert reason_of(error) == "PROJECT_NOT_FOUND"


async def test_a_restart_of_postgresql_in_mid_call_costs_nothing(real: Real) -> None:
    run = await real.run("count_effect", "search_documents")
    effect = a_place("count_effect", arguments='{"seconds": 1, "seconds_after": 1}')
    call = real.stub.ExecuteTool(effect, metadata=as_run(run))
    outcome = asyncio.create_task(last_of(call, 60))
    await eventually(lambda: sum(effects_in(real.effects).values()) == 1)
    await asyncio.to_thread(real.stack.stop, "postgres")
    search = a_place("search_documents", index=1, arguments='{"query": "x"}')
    begun_meanwhile = asyncio.create_task(last_of(real.stub.ExecuteTool(search, metadata=as_run(run)), 60))
    await asyncio.sleep(5)  # longer than the lease
    await asyncio.to_thread(real.stack.start, "postgres")
    assert '"attempt": 1' in (await outcome).content
    assert '"hits": []' in (await begun_meanwhile).content
    assert list(effects_in(real.effects).values()) == [1]


async def test_a_killed_process_leaves_an_unknown_outcome_and_no_second_effect(real: Real) -> None:
    run = await real.run("count_effect")
    request = a_place("count_effect", arguments='{"seconds_after": 60}')
    call = real.stub.ExecuteTool(request, metadata=as_run(run))
    await within(call.read())
    await eventually(lambda: sum(effects_in(real.effects).values()) == 1)
    await asyncio.to_thread(real.stack.kill, "tools")
    await asyncio.to_thread(real.stack.start, "tools")
    await asyncio.to_thread(real.stack.wait_ready, "tools")
    outcome = await last_of(real.stub.ExecuteTool(request, metadata=as_run(run), wait_for_ready=True), 30)
    assert outcome.reason == event_pb2.TOOL_FAILURE_REASON_OUTCOME_UNKNOWN
    assert list(effects_in(real.effects).values()) == [1]


async def test_the_tool_of_a_cancelled_run_stops_and_that_of_a_lost_runner_goes_on(real: Real) -> None:
    cancelled, lost = await real.run("count_effect"), await real.run("count_effect")
    request = a_place("count_effect", arguments='{"seconds": 3}')
    for run in (cancelled, lost):
        call = real.stub.ExecuteTool(request, metadata=as_run(run))
        await within(call.read())
        if run is cancelled:
            await real.client.runs.CancelRun(run_service_pb2.CancelRunRequest(run_id=run.run_id))
        call.cancel()
    outcome = await last_of(real.stub.ExecuteTool(request, metadata=as_run(lost)), 20)
    assert '"attempt": 1' in outcome.content
    assert list(effects_in(real.effects).values()) == [1]
    state = (await real.client.runs.GetRun(run_service_pb2.GetRunRequest(run_id=lost.run_id))).run.state
    assert state == run_pb2.RUN_STATE_RUNNING
