"""Every built-in tool through the public API: in a run, and alone by ExecuteTool."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import pytest
from public_api import Api, type_of
from weft.documents.v1 import document_service_pb2
from weft.projects.v1 import project_service_pb2
from weft.runs.v1 import event_pb2
from weft.tools.v1 import tool_service_pb2 as tools_pb


async def put(api: Api, project_id: str, title: str) -> None:
    request = document_service_pb2.PutDocumentRequest(project_id=project_id, title=title, text="some text")
    await api.documents.PutDocument(request, metadata=api.metadata, timeout=10)


async def a_project(api: Api, name: str) -> str:
    request = project_service_pb2.CreateProjectRequest(display_name=name)
    made = await api.projects.CreateProject(request, metadata=api.metadata, timeout=10)
    return str(made.project.project_id)


async def called_in_a_run(api: Api, agent_id: str, *calls: tuple[str, dict[str, Any]], **fields: Any) -> list[Any]:
    """Let a run make calls one after another, and return their results, parsed."""
    text = "\n".join(f"call {name} {json.dumps(arguments)}" for name, arguments in calls)
    made = await api.initiate(text, agent_id=agent_id, **fields)
    events = await api.events(made.run_id)
    assert type_of(events[-1]) == "run_succeeded"
    return [json.loads(event.tool_completed.content) for event in completed_in(events)]


def completed_in(events: Sequence[event_pb2.RunEvent]) -> list[event_pb2.RunEvent]:
    return [event for event in events if type_of(event) == "tool_completed"]


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
