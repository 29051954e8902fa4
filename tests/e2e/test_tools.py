"""Every built-in tool through the public API: in a run, and alone by ExecuteTool."""

import json
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from egress_world import LoopbackSite, head
from public_api import Api, type_of
from runs_world import superuser_url
from weft.documents.v1 import document_service_pb2
from weft.projects.v1 import project_service_pb2
from weft.runs.v1 import event_pb2, run_pb2
from weft.tools.v1 import tool_service_pb2 as tools_pb
from weft_cli.stack import Stack
from weft_core.ids import parse_id


async def put(api: Api, project_id: str, title: str) -> None:
    request = document_service_pb2.PutDocumentRequest(project_id=project_id, title=title, text="some text")
    await api.documents.PutDocument(request, metadata=api.metadata, timeout=10)


async def a_project(api: Api, name: str) -> str:
    request = project_service_pb2.CreateProjectRequest(display_name=name)
    made = await api.projects.CreateProject(request, metadata=api.metadata, timeout=10)
    return str(made.project.project_id)


async def called_in_a_run(api: Api, agent_id: str, *calls: tuple[str, dict[str, Any]], **fields: Any) -> list[Any]:
    """Let a run make calls one after another, and return their results, parsed."""
    made = await api.initiate(calls_text(*calls), agent_id=agent_id, **fields)
    return results_in(await api.events(made.run_id))


def calls_text(*calls: tuple[str, dict[str, Any]]) -> str:
    """Return what makes the scripted model call these tools, one after another."""
    return "\n".join(f"call {name} {json.dumps(arguments)}" for name, arguments in calls)


def results_in(events: list[event_pb2.RunEvent]) -> list[Any]:
    assert type_of(events[-1]) == "run_succeeded"
    return [result_in(event) for event in events if type_of(event) in ("tool_completed", "tool_failed")]


def result_in(event: event_pb2.RunEvent) -> Any:
    """Return a result, parsed, or the failure."""
    return json.loads(event.tool_completed.content) if type_of(event) == "tool_completed" else event.tool_failed


async def called_alone(api: Api, agent_id: str, name: str, arguments: dict[str, Any], **fields: Any) -> Any:
    request = tools_pb.ExecuteToolRequest(
        agent_id=agent_id, name=name, arguments_json=json.dumps(arguments), request_id=uuid4().hex, **fields
    )
    events = [event async for event in api.tools.ExecuteTool(request, metadata=api.metadata, timeout=30)]
    return json.loads(events[-1].completed.content)


@pytest.mark.row("E4")
async def test_projects_and_documents_are_listed_in_a_run_and_alone(api: Api) -> None:
    garden = await a_project(api, "Garden")
    for title in ("Roses", "Tulips", "Weeds"):
        await put(api, garden, title)
    agent = await api.make_agent("scripted", tools=["list_projects", "list_documents"])
    projects, documents = await called_in_a_run(
        api, agent, ("list_projects", {}), ("list_documents", {"page_size": 2}), project_id=garden
    )
    assert (projects["projects"][0]["name"], projects["projects"][0]["is_current"]) == ("Garden", True)
    assert len(projects["projects"]) == 2
    assert [each["title"] for each in documents["documents"]] == ["Weeds", "Tulips"]
    more = {"project_id": garden, "page_token": documents["next_page_token"]}
    (rest,) = await called_in_a_run(api, agent, ("list_documents", more))
    assert [each["title"] for each in rest["documents"]] == ["Roses"]
    assert await called_alone(api, agent, "list_documents", more) == rest
    alone = await called_alone(api, agent, "list_projects", {}, project_id=garden)
    assert alone == projects


@pytest.mark.row("E4")
async def test_a_page_is_fetched_in_a_run_and_alone(api: Api, site: LoopbackSite) -> None:
    site.pages["/roses"] = head(content_type="text/html") + b"<title>Roses</title><p>Prune them in March."
    agent = await api.make_agent("scripted", tools=["http_fetch"])
    asked = {"url": site.url("/roses", host="127.0.0.2")}
    (page,) = await called_in_a_run(api, agent, ("http_fetch", asked))
    assert (page["status"], page["title"], page["text"]) == (200, "Roses", "Prune them in March.")
    assert await called_alone(api, agent, "http_fetch", asked) == page


@pytest.mark.row("E4")
async def test_what_a_run_may_not_reach_is_denied_told_to_the_model_and_audited(
    api: Api, site: LoopbackSite, stack: Stack
) -> None:
    before = len(site.heads)
    agent = await api.make_agent("scripted", tools=["http_fetch"])
    inside = f"http://127.0.0.1:{site.port}/secret"
    urls = (inside, "http://169.254.169.254/latest/meta-data/", site.url(f"/to?{inside}", host="127.0.0.2"))
    refused = await called_in_a_run(api, agent, *(("http_fetch", {"url": url}) for url in urls))
    assert [each.reason for each in refused] == [event_pb2.TOOL_FAILURE_REASON_DENIED] * 3
    assert all(f"{url} was not fetched" in each.message for url, each in zip(urls, refused, strict=True))
    assert [asked.split(" ")[1].partition("?")[0] for asked in site.heads[before:]] == ["/to"]
    connection = await asyncpg.connect(superuser_url(stack))
    try:
        query = "SELECT state, reason, content FROM tool_executions WHERE agent_id = $1 ORDER BY create_time"
        rows = await connection.fetch(query, parse_id("agt", agent))
    finally:
        await connection.close()
    assert [(row["state"], row["reason"]) for row in rows] == [("failed", "denied")] * 3
    assert [row["content"] for row in rows] == [each.message for each in refused]


@pytest.mark.row("E4", "C3")
async def test_a_todo_list_goes_through_turns_and_runs_of_a_thread_and_works_alone(api: Api) -> None:
    agent = await api.make_agent("scripted", tools=["todo", "list_projects"])
    write = {"operation": "write", "items": [{"text": "dig"}, {"text": "plant"}]}
    begin = {"operation": "update", "updates": [{"id": 1, "status": "in_progress"}]}
    first = await api.initiate(calls_text(("todo", write), ("list_projects", {}), ("todo", begin)), agent_id=agent)
    results = results_in(await api.events(first.run_id))
    assert results[2]["items"][0] == {"id": 1, "text": "dig", "status": "in_progress"}
    add = {"operation": "add", "items": [{"text": "water"}]}
    failing = {"operation": "update", "updates": [{"id": 9}]}
    second = await api.initiate(
        calls_text(("todo", add), ("todo", failing), ("todo", {"operation": "read"})), thread_id=first.thread_id
    )
    added, failed, read = results_in(await api.events(second.run_id))
    assert [item["text"] for item in added["items"]] == ["dig", "plant", "water"]
    assert "there is no item 9" in failed.message
    assert read == added
    (elsewhere,) = await called_in_a_run(api, agent, ("todo", {"operation": "read"}))
    assert elsewhere["items"] == [], "another thread has another list"
    assert await called_alone(api, agent, "todo", {"operation": "read"}, state=json.dumps(read)) == read


@pytest.mark.row("C3")
@pytest.mark.parametrize("how", ["merged", "cancelled"])
async def test_a_todo_list_survives_the_run_that_wrote_it(api: Api, how: str) -> None:
    agent = await api.make_agent("scripted", tools=["todo", "count_effect"])
    write = {"operation": "write", "items": [{"text": "dig"}]}
    first = await api.initiate(calls_text(("todo", write), ("count_effect", {"seconds": 30})), agent_id=agent)
    await api.events(first.run_id, stop_when=lambda event: event.tool_executing.name == "count_effect")
    if how == "cancelled":
        await api.cancel(first.run_id)
    second = await api.initiate(
        calls_text(("todo", {"operation": "read"})),
        thread_id=first.thread_id,
        busy_strategy=run_pb2.BUSY_STRATEGY_MERGE,
    )
    assert second.is_merged == (how == "merged")
    (read,) = results_in(await api.events(second.run_id))
    assert [item["text"] for item in read["items"]] == ["dig"]
    assert type_of((await api.events(first.run_id))[-1]) == ("run_superseded" if how == "merged" else "run_cancelled")
