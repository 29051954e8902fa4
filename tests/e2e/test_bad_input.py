"""What callers get wrong, through the public API: each is told what to do, and nothing else happens."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from e2e.asking import model_calls, refused
from every_rpc.answers import ask_path
from every_rpc.world import unknown_id
from public_api import Api, new_tenant, type_of
from weft.agents.v1 import agent_service_pb2 as agents
from weft.documents.v1 import document_service_pb2 as documents
from weft.gateway.v1 import agent_gateway_service_pb2 as gateway
from weft.projects.v1 import project_service_pb2 as projects
from weft.runs.v1 import run_pb2
from weft.runs.v1 import run_service_pb2 as runs
from weft.threads.v1 import message_pb2
from weft.threads.v1 import thread_service_pb2 as threads
from weft_cli.stack import Stack

MIB = 1024 * 1024
INITIATE = "/weft.gateway.v1.AgentGateway/InitiateAgent"


@pytest.fixture
async def stranger(stack: Stack) -> AsyncIterator[Api]:
    async with new_tenant([stack.address("gateway")], stack.operator_key, name="stranger") as opened:
        yield opened


async def a_finished_run(api: Api) -> gateway.InitiateAgentResponse:
    made = await api.initiate("hello", agent_id=await api.make_agent("scripted:count=3"))
    assert type_of((await api.events(made.run_id))[-1]) == "run_succeeded"
    return made


async def watch(api: Api, run_id: str, after_seq: int = 0) -> list[Any]:
    call = api.gateway.RunEvents(
        gateway.RunEventsRequest(run_id=run_id, after_seq=after_seq), metadata=api.metadata, timeout=20
    )
    return [response async for response in call]


def every_use_of(api: Api, thread_id: str, run_id: str, agent_id: str) -> dict[str, Any]:
    """Return calls, not yet made, that name these ids."""
    terms = {"metadata": api.metadata, "timeout": 10}
    return {
        "initiate": lambda: api.gateway.InitiateAgent(
            gateway.InitiateAgentRequest(text="hello", thread_id=thread_id), **terms
        ),
        "initiate with agent": lambda: api.gateway.InitiateAgent(
            gateway.InitiateAgentRequest(text="hello", agent_id=agent_id), **terms
        ),
        "watch": lambda: watch(api, run_id),
        "get run": lambda: api.runs.GetRun(runs.GetRunRequest(run_id=run_id), **terms),
        "wait": lambda: api.runs.WaitRun(runs.WaitRunRequest(run_id=run_id), **terms),
        "cancel": lambda: api.runs.CancelRun(runs.CancelRunRequest(run_id=run_id), **terms),
        "messages": lambda: api.threads.ListMessages(threads.ListMessagesRequest(thread_id=thread_id), **terms),
        "delete": lambda: api.threads.DeleteThread(threads.DeleteThreadRequest(thread_id=thread_id), **terms),
        "agent": lambda: api.agents.GetAgent(agents.GetAgentRequest(agent_id=agent_id), **terms),
    }


MISSING = {
    "initiate": "THREAD",
    "messages": "THREAD",
    "delete": "THREAD",
    "initiate with agent": "AGENT",
    "agent": "AGENT",
}


@pytest.mark.row("E3", "G9")
async def test_another_tenants_ids_are_answered_like_ids_that_do_not_exist(api: Api, stranger: Api) -> None:
    made = await a_finished_run(api)
    foreign = every_use_of(stranger, made.thread_id, made.run_id, made.agent_id)
    unknown = every_use_of(stranger, unknown_id("thr"), unknown_id("run"), unknown_id("agt"))
    for name in foreign:
        reason = f"{MISSING.get(name, 'RUN')}_NOT_FOUND"
        told = await refused(foreign[name](), "NOT_FOUND", reason)
        assert told.shape == (await refused(unknown[name](), "NOT_FOUND", reason)).shape
    assert len(await api.messages(made.thread_id)) == 2
    assert (await api.get_run(made.run_id)).state == run_pb2.RUN_STATE_SUCCEEDED


async def test_an_id_of_the_wrong_kind_is_refused_with_its_field(api: Api) -> None:
    made = await a_finished_run(api)
    told = await refused(watch(api, made.thread_id), "INVALID_ARGUMENT", "INVALID_FIELDS")
    assert told.fields == ("run_id",)
    told = await refused(api.initiate("hello", thread_id=made.run_id), "INVALID_ARGUMENT", "INVALID_FIELDS")
    assert told.fields == ("thread_id",)


async def test_an_empty_message_is_refused(api: Api) -> None:
    told = await refused(api.initiate(""), "INVALID_ARGUMENT", "INVALID_FIELDS")
    assert told.fields == ("text",)
    listed = await api.threads.ListThreads(threads.ListThreadsRequest(), metadata=api.metadata, timeout=10)
    assert not listed.threads, "a refusal leaves nothing behind"


@pytest.mark.parametrize("size", [2 * MIB, 10 * MIB, MIB + 1])
async def test_a_text_beyond_a_mebibyte_is_refused(api: Api, size: int) -> None:
    told = await refused(api.initiate("x" * size), "INVALID_ARGUMENT", "INVALID_FIELDS")
    assert told.fields == ("text",)


async def test_a_text_of_exactly_a_mebibyte_is_answered_and_read_back_whole(api: Api) -> None:
    agent = await api.make_agent("scripted:count=3")
    text = "é" * (MIB // 2)
    made = await api.initiate(text, agent_id=agent)
    assert type_of((await api.events(made.run_id))[-1]) == "run_succeeded"
    assert (await api.messages(made.thread_id))[0].parts[0].text == text


def of_parts(thread_id: str, mebibytes: int) -> threads.CreateMessageRequest:
    parts = [message_pb2.Part(text=str(number) * MIB) for number in range(mebibytes)]
    return threads.CreateMessageRequest(thread_id=thread_id, role=message_pb2.ROLE_USER, parts=parts)


async def test_a_message_of_ten_mebibytes_in_parts_is_refused(api: Api) -> None:
    made = await a_finished_run(api)
    call = api.threads.CreateMessage(of_parts(made.thread_id, 10), metadata=api.metadata, timeout=20)
    told = await refused(call, "INVALID_ARGUMENT", "INVALID_FIELDS")
    assert told.fields == ("parts",)
    assert len(await api.messages(made.thread_id)) == 2


async def test_a_large_message_is_kept_whole_and_left_out_of_a_smaller_context(api: Api, stack: Stack) -> None:
    model = "scripted:count=3,tag=after-three-mebibytes"
    made = await api.initiate("before", agent_id=await api.make_agent(model))
    await api.events(made.run_id)
    request = of_parts(made.thread_id, 3)
    await api.threads.CreateMessage(request, metadata=api.metadata, timeout=20)
    assert (await api.messages(made.thread_id))[2].parts == request.parts
    again = await api.initiate("after", thread_id=made.thread_id)
    assert type_of((await api.events(again.run_id))[-1]) == "run_succeeded"
    call = (await model_calls(stack, model=model))[-1]
    assert [message["content"] for message in call["messages"]] == ["after"]


async def test_what_is_larger_than_the_edge_takes_is_refused_before_it_is_read(api: Api) -> None:
    data = gateway.InitiateAgentRequest(text="x" * (17 * MIB)).SerializeToString()
    told = await ask_path(api.channel, INITIATE, data, api.metadata)
    assert told.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    await a_finished_run(api)  # the connection lives


async def test_nul_becomes_the_replacement_character(api: Api) -> None:
    agent = await api.make_agent("scripted")
    made = await api.initiate("before\0after", agent_id=agent)
    assert type_of((await api.events(made.run_id))[-1]) == "run_succeeded"
    asked, answer = await api.messages(made.thread_id)
    assert asked.parts[0].text == "before\ufffdafter"
    assert 'You said: "before\ufffdafter"' in answer.parts[0].text
    request = threads.GetThreadRequest(thread_id=made.thread_id)
    thread = (await api.threads.GetThread(request, metadata=api.metadata, timeout=10)).thread
    assert thread.title == "before\ufffdafter"


async def test_nul_in_metadata_titles_and_documents_becomes_the_replacement_character(api: Api) -> None:
    terms = {"metadata": api.metadata, "timeout": 10}
    created = await api.threads.CreateThread(
        threads.CreateThreadRequest(title="a\0b", metadata={"k\0": "v\0"}), **terms
    )
    assert (created.thread.title, dict(created.thread.metadata)) == ("a\ufffdb", {"k\ufffd": "v\ufffd"})
    project = (await api.projects.CreateProject(projects.CreateProjectRequest(display_name="p\0"), **terms)).project
    assert project.display_name == "p\ufffd"
    put = documents.PutDocumentRequest(project_id=project.project_id, title="t\0", text="x\0y")
    document = (await api.documents.PutDocument(put, **terms)).document
    read = documents.ReadDocumentRequest(document_id=document.document_id)
    assert (await api.documents.ReadDocument(read, **terms)).text == "x\ufffdy"


@pytest.mark.parametrize("bad", [b"\xed\xa0\xbd", b"\xff", b"\xc0\x80", b"\xf0\x9f\x98"])
async def test_bytes_that_are_not_utf_8_are_refused(api: Api, bad: bytes) -> None:
    """A lone surrogate, no UTF-8 at all, an overlong NUL, half an emoji: Python's own messages cannot hold them."""
    text = b"before" + bad
    told = await ask_path(api.channel, INITIATE, b"\x0a" + bytes([len(text)]) + text, api.metadata)
    assert told.verdict == ("INVALID_ARGUMENT", "INVALID_FIELDS")
    told = await ask_path(api.channel, INITIATE, b"\x0a\xff\xff", api.metadata)
    assert told.verdict == ("INVALID_ARGUMENT", "INVALID_FIELDS")


async def test_unknown_ids_are_not_found(api: Api) -> None:
    uses = every_use_of(api, unknown_id("thr"), unknown_id("run"), unknown_id("agt"))
    for name, use in uses.items():
        await refused(use(), "NOT_FOUND", f"{MISSING.get(name, 'RUN')}_NOT_FOUND")
    request = gateway.InitiateAgentRequest(text="hello", project_id=unknown_id("prj"))
    call = api.gateway.InitiateAgent(request, metadata=api.metadata, timeout=10)
    await refused(call, "NOT_FOUND", "PROJECT_NOT_FOUND")


async def test_a_cursor_beyond_the_head_is_out_of_range_and_a_negative_one_invalid(api: Api) -> None:
    made = await a_finished_run(api)
    last = (await api.get_run(made.run_id)).last_seq
    told = await refused(watch(api, made.run_id, last + 1), "OUT_OF_RANGE", "CURSOR_OUT_OF_RANGE")
    assert told.metadata == {"last_seq": str(last)}
    told = await refused(watch(api, made.run_id, -1), "INVALID_ARGUMENT", "INVALID_FIELDS")
    assert told.fields == ("after_seq",)
    assert await watch(api, made.run_id, last) == []


async def test_a_cursor_beyond_the_head_of_a_live_run_is_out_of_range_too(api: Api) -> None:
    made = await api.initiate("wait", agent_id=await api.make_agent("scripted:silent=0,tag=cursor"))
    await refused(watch(api, made.run_id, 1000), "OUT_OF_RANGE", "CURSOR_OUT_OF_RANGE")
    await api.cancel(made.run_id)


@pytest.mark.row("A1")
async def test_the_same_request_id_twice_is_one_run_and_with_another_body_refused(api: Api, stack: Stack) -> None:
    model = "scripted:count=3,tag=twice"
    agent = await api.make_agent(model)
    first = await api.initiate("hello", agent_id=agent, request_id="twice")
    await api.events(first.run_id)
    again = await api.initiate("hello", agent_id=agent, request_id="twice")  # also after its end
    assert again == first
    for fields in (
        {"text": "hello!", "agent_id": agent},
        {"text": "hello", "agent_id": agent, "thread_id": first.thread_id},
        {"text": "hello"},
        {"text": "hello", "agent_id": agent, "busy_strategy": run_pb2.BUSY_STRATEGY_REJECT},
    ):
        await refused(api.initiate(request_id="twice", **fields), "INVALID_ARGUMENT", "REQUEST_ID_REUSED")
    assert len(await api.messages(first.thread_id)) == 2
    assert len(await model_calls(stack, model=model)) == 1


@pytest.mark.row("A1")
async def test_a_hundred_at_once_with_one_request_id_are_one_run(api: Api, stack: Stack) -> None:
    model = "scripted:count=3,tag=hundred"
    agent = await api.make_agent(model)
    made = await asyncio.gather(*(api.initiate("hello", agent_id=agent, request_id="hundred") for _ in range(100)))
    assert len({each.SerializeToString(deterministic=True) for each in made}) == 1
    await api.events(made[0].run_id)
    assert len(await api.messages(made[0].thread_id)) == 2
    assert len(await model_calls(stack, model=model)) == 1


async def test_a_request_id_belongs_to_its_tenant(api: Api, stranger: Api) -> None:
    first, second = await api.initiate("hello", request_id="mine"), await stranger.initiate("other", request_id="mine")
    assert first.run_id != second.run_id
    await api.events(first.run_id)
    await stranger.events(second.run_id)
