"""The main job through the public API: initiate, watch, tools, chat, several watchers, the messages read back."""

import asyncio
import json

import pytest
from public_api import Api, text_of, type_of
from weft.agents.v1 import agent_pb2, agent_service_pb2
from weft.documents.v1 import document_service_pb2
from weft.projects.v1 import project_service_pb2
from weft.runs.v1 import event_pb2, run_pb2
from weft.tasks.v1 import task_service_pb2
from weft.threads.v1 import message_pb2

TOOLS = ["search_documents", "read_document", "create_task"]


async def a_project_with_a_document(api: Api) -> str:
    made = await api.projects.CreateProject(
        project_service_pb2.CreateProjectRequest(display_name="docs"), metadata=api.metadata, timeout=10
    )
    project_id = str(made.project.project_id)
    await api.documents.PutDocument(
        document_service_pb2.PutDocumentRequest(
            project_id=project_id, title="Harbours", text="The harbour of Brest is deep. Ships wait there for the tide."
        ),
        metadata=api.metadata,
        timeout=10,
    )
    return project_id


@pytest.mark.row("A6", "E1", "E4", "E6")
async def test_run_searches_reads_and_makes_a_task_live(api: Api) -> None:
    project_id = await a_project_with_a_document(api)
    agent = await api.make_agent("scripted:tag=story", tools=TOOLS)
    made = await api.initiate(
        'Search the documents for "harbour", read the best one, then create a task "Check the tide".',
        agent_id=agent,
        project_id=project_id,
    )
    events = await api.events(made.run_id)
    types = [type_of(event) for event in events]
    assert types[:2] == ["run_queued", "run_started"]
    assert types[-1] == "run_succeeded"
    assert [event.tool_executing.name for event in events if type_of(event) == "tool_executing"] == TOOLS
    results = {
        event.tool_completed.name: event.tool_completed.content
        for event in events
        if type_of(event) == "tool_completed"
    }
    assert list(results) == TOOLS
    assert "Brest" in results["read_document"]
    listed = await api.tasks.ListTasks(
        task_service_pb2.ListTasksRequest(project_id=project_id), metadata=api.metadata, timeout=10
    )
    assert [task.title for task in listed.tasks] == ["Check the tide"]
    answer = text_of(events)
    assert "read_document returned" in answer, "the answer quotes the tools"
    messages = await api.messages(made.thread_id)
    assert [m.role for m in messages] == [message_pb2.ROLE_USER] + [
        message_pb2.ROLE_ASSISTANT,
        message_pb2.ROLE_TOOL,
    ] * 3 + [message_pb2.ROLE_ASSISTANT]
    assert messages[-1].parts[0].text == answer
    run = await api.get_run(made.run_id)
    assert run.usage.model_calls == 4
    assert run.usage.input_tokens > 0


@pytest.mark.row("A1", "A6")
async def test_plain_chat_remembers_the_thread(api: Api) -> None:
    agent = await api.make_agent("scripted")
    first = await api.initiate("my name is Ada", agent_id=agent)
    assert first.state == run_pb2.RUN_STATE_QUEUED
    await api.events(first.run_id)
    second = await api.initiate("and again", thread_id=first.thread_id)
    events = await api.events(second.run_id)
    assert type_of(events[-1]) == "run_succeeded"
    assert 'You said: "and again"' in text_of(events)
    roles = [message.role for message in await api.messages(first.thread_id)]
    assert roles == [message_pb2.ROLE_USER, message_pb2.ROLE_ASSISTANT] * 2


@pytest.mark.row("E1")
async def test_run_ends_with_its_limit_of_model_calls_when_the_model_never_stops_calling_tools(api: Api) -> None:
    limits = agent_pb2.AgentLimits(max_model_calls=3)
    agent = await api.make_agent("scripted:tools=9,tool=search_documents", tools=["search_documents"], limits=limits)
    made = await api.initiate("never stop", agent_id=agent)
    events = await api.events(made.run_id)
    assert events[-1].run_succeeded.finish == run_pb2.FINISH_ITERATION_LIMIT
    assert sum(type_of(event) == "step_started" for event in events) == 3
    assert sum(type_of(event) == "tool_executing" for event in events) == 2


@pytest.mark.row("E6", "E1")
async def test_tool_tells_its_progress_and_its_error_goes_back_to_the_model(api: Api) -> None:
    agent = await api.make_agent("scripted:tag=progress", tools=["count_effect", "raise_error"])
    calls = f"call count_effect {json.dumps({'seconds': 0.5})}\ncall raise_error {{}}"
    made = await api.initiate(calls, agent_id=agent)
    events = await api.events(made.run_id)
    types = [type_of(event) for event in events]
    assert "tool_progress" in types
    assert types.index("tool_executing") < types.index("tool_progress") < types.index("tool_completed")
    failed = next(event.tool_failed for event in events if type_of(event) == "tool_failed")
    assert failed.reason == event_pb2.TOOL_FAILURE_REASON_FAILED
    assert types[-1] == "run_succeeded"
    assert "raise_error returned" in text_of(events), "the model was told"


async def test_watchers_see_the_same_from_the_start_the_middle_and_after_the_end(api: Api) -> None:
    agent = await api.make_agent("scripted:tps=100,count=60")
    made = await api.initiate("watch me", agent_id=agent)
    two = await asyncio.gather(api.events(made.run_id), api.events(made.run_id))
    assert two[0] == two[1]
    middle = two[0][len(two[0]) // 2].seq
    assert await api.events(made.run_id, middle) == two[0][middle:]
    assert await api.events(made.run_id) == two[0]
    assert await api.events(made.run_id, two[0][-1].seq) == []


@pytest.mark.row("D1")
async def test_new_version_of_an_agent_serves_new_runs_only(api: Api) -> None:
    agent = await api.make_agent("scripted:ttft=0.5,tag=v1")
    old = await api.initiate("old", agent_id=agent)
    await api.agents.UpdateAgent(
        agent_service_pb2.UpdateAgentRequest(agent_id=agent, spec=agent_pb2.AgentSpec(model="scripted:tag=v2")),
        metadata=api.metadata,
        timeout=10,
    )
    new = await api.initiate("new", agent_id=agent)
    models = []
    for made in (old, new):
        events = await api.events(made.run_id)
        models.append(next(event.message_started.model for event in events if type_of(event) == "message_started"))
    assert models == ["scripted:ttft=0.5,tag=v1", "scripted:tag=v2"]
    assert (await api.get_run(old.run_id)).agent_version_id != (await api.get_run(new.run_id)).agent_version_id
