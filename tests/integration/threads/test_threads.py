"""ThreadService on the real service."""

import asyncio

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from threads_world import Client, ThreadsWorld, all_refused, an_agent, refused, unknown_id
from weft.projects.v1 import project_service_pb2
from weft.runs.v1 import admission_service_pb2, run_pb2, run_service_pb2
from weft.tenants.v1 import tenant_pb2
from weft.threads.v1 import message_pb2, thread_pb2
from weft.threads.v1 import thread_service_pb2 as pb

USER = message_pb2.ROLE_USER


async def a_thread(client: Client, **values: object) -> thread_pb2.Thread:
    return (await client.threads.CreateThread(pb.CreateThreadRequest(**values))).thread  # type: ignore[arg-type]


async def say(
    client: Client, thread_id: str, text: str, role: message_pb2.Role.ValueType = USER
) -> message_pb2.Message:
    request = pb.CreateMessageRequest(thread_id=thread_id, role=role, parts=[message_pb2.Part(text=text)])
    return (await client.threads.CreateMessage(request)).message


async def all_messages(
    client: Client, thread_id: str, page_size: int = 0, *, newest_first: bool = False
) -> list[message_pb2.Message]:
    request = pb.ListMessagesRequest(thread_id=thread_id, page_size=page_size, newest_first=newest_first)
    messages: list[message_pb2.Message] = []
    while True:
        page = await client.threads.ListMessages(request)
        messages += page.messages
        if not page.next_page_token:
            return messages
        request.page_token = page.next_page_token


@pytest.mark.row("B2")
async def test_thread_without_anything_takes_the_tenants_defaults(world: ThreadsWorld) -> None:
    tenant, client = await world.tenant()
    thread = await a_thread(client)
    assert (thread.project_id, thread.agent_id) == (tenant.default_project_id, tenant.default_agent_id)
    assert (thread.title, thread.is_active, thread.last_turn, thread.created_by) == ("", True, 0, "key_test")
    assert (await client.threads.GetThread(pb.GetThreadRequest(thread_id=thread.thread_id))).thread == thread


@pytest.mark.row("B2")
async def test_thread_keeps_what_it_is_given_and_what_it_is_changed_to(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    agent, other = await an_agent(client), await an_agent(client)
    thread = await a_thread(client, agent_id=agent.agent_id, title="Looms", metadata={"a": "1", "b": "2"})
    assert (thread.agent_id, thread.title, dict(thread.metadata)) == (agent.agent_id, "Looms", {"a": "1", "b": "2"})

    change = pb.UpdateThreadRequest(
        thread_id=thread.thread_id,
        title="Shuttles",
        metadata={"c": "3"},
        agent_id=other.agent_id,
        update_mask=FieldMask(paths=["title", "metadata", "agent_id", "is_active"]),
    )
    changed = (await client.threads.UpdateThread(change)).thread

    assert (changed.title, dict(changed.metadata)) == ("Shuttles", {"c": "3"})
    assert (changed.agent_id, changed.is_active) == (other.agent_id, False)


@pytest.mark.row("B2")
async def test_list_filters_by_project_agent_and_mark(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    request = project_service_pb2.CreateProjectRequest(display_name="p")
    project_id = (await client.projects.CreateProject(request)).project.project_id
    agent_id = (await an_agent(client)).agent_id
    plain = (await a_thread(client)).thread_id
    projected = (await a_thread(client, project_id=project_id)).thread_id
    with_agent = (await a_thread(client, project_id=project_id, agent_id=agent_id)).thread_id
    aside = pb.UpdateThreadRequest(thread_id=plain, update_mask=FieldMask(paths=["is_active"]))
    await client.threads.UpdateThread(aside)

    async def found(**wanted: object) -> list[str]:
        page = await client.threads.ListThreads(pb.ListThreadsRequest(**wanted))  # type: ignore[arg-type]
        return [thread.thread_id for thread in page.threads]

    assert await found() == [with_agent, projected, plain]
    assert await found(project_id=project_id) == [with_agent, projected]
    assert await found(agent_id=agent_id) == [with_agent]
    assert await found(is_active=False) == [plain]
    assert await found(is_active=True, project_id=project_id) == [with_agent, projected]
    assert await found(agent_id=unknown_id("agt")) == []


async def test_thread_needs_a_project_and_an_agent_that_exist(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    thread = await a_thread(client)
    with refused("PROJECT_NOT_FOUND"):
        await a_thread(client, project_id=unknown_id("prj"))
    with refused("AGENT_NOT_FOUND"):
        await a_thread(client, agent_id=unknown_id("agt"))
    with refused("AGENT_NOT_FOUND"):
        await client.threads.UpdateThread(
            pb.UpdateThreadRequest(thread_id=thread.thread_id, agent_id=unknown_id("agt"))
        )
    with refused("INVALID_FIELDS") as refusal:
        await client.threads.UpdateThread(
            pb.UpdateThreadRequest(thread_id=thread.thread_id, update_mask=FieldMask(paths=["agent_id"]))
        )
    assert refusal.fields == {"agent_id"}


async def test_thread_limit_refuses_and_a_deletion_makes_room(world: ThreadsWorld) -> None:
    _, client = await world.tenant(tenant_pb2.TenantLimits(max_threads=2))
    first = await a_thread(client)
    await a_thread(client)
    with refused("THREAD_LIMIT") as refusal:
        await a_thread(client)
    assert refusal.metadata["limit"] == "2"
    await client.threads.DeleteThread(pb.DeleteThreadRequest(thread_id=first.thread_id))
    await a_thread(client)


@pytest.mark.row("B3")
async def test_messages_list_in_their_order_from_either_end(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    thread_id = (await a_thread(client)).thread_id
    said = [await say(client, thread_id, f"message {n}") for n in range(7)]

    assert [message.turn for message in said] == [1, 2, 3, 4, 5, 6, 7]
    assert await all_messages(client, thread_id, 3) == said
    assert await all_messages(client, thread_id, 3, newest_first=True) == said[::-1]
    assert (await client.threads.GetThread(pb.GetThreadRequest(thread_id=thread_id))).thread.last_turn == 7


@pytest.mark.row("B3")
async def test_message_holds_many_tool_calls_and_their_results(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    thread_id = (await a_thread(client)).thread_id
    calls = [
        message_pb2.Part(tool_call=message_pb2.ToolCall(call_id="c", name="f", arguments_json='{"n": 1}', index=n))
        for n in range(3)
    ]
    results = [
        message_pb2.Part(tool_result=message_pb2.ToolResult(call_id="c", name="f", content=str(n), index=n))
        for n in range(3)
    ]
    for role, parts in (
        (message_pb2.ROLE_SYSTEM, [message_pb2.Part(text="Be brief.")]),
        (USER, [message_pb2.Part(text="one"), message_pb2.Part(text="two")]),
        (message_pb2.ROLE_ASSISTANT, [message_pb2.Part(text="calling"), *calls]),
        (message_pb2.ROLE_TOOL, results),
    ):
        made = await client.threads.CreateMessage(pb.CreateMessageRequest(thread_id=thread_id, role=role, parts=parts))
        assert list(made.message.parts) == parts
        assert (made.message.role, made.message.state) == (role, message_pb2.Message.STATE_COMPLETE)
    assert [len(message.parts) for message in await all_messages(client, thread_id)] == [1, 2, 4, 3]


async def test_thread_is_titled_by_its_first_words_until_somebody_edits_it(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    thread_id = (await a_thread(client)).thread_id
    await say(client, thread_id, "  How do\n I warp a loom?  " + "x" * 200)
    await say(client, thread_id, "Another question")
    title = (await client.threads.GetThread(pb.GetThreadRequest(thread_id=thread_id))).thread.title
    assert title.startswith("How do I warp a loom? xxx")
    assert len(title) == 80

    emptied = pb.UpdateThreadRequest(thread_id=thread_id, update_mask=FieldMask(paths=["title"]))
    await client.threads.UpdateThread(emptied)
    await say(client, thread_id, "A third")
    assert (await client.threads.GetThread(pb.GetThreadRequest(thread_id=thread_id))).thread.title == ""


async def test_messages_said_at_once_each_get_a_place_of_their_own(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    thread_id = (await a_thread(client)).thread_id
    made = await asyncio.gather(*(say(client, thread_id, f"{n}") for n in range(40)))
    assert sorted(message.turn for message in made) == list(range(1, 41))
    assert len(await all_messages(client, thread_id, 7)) == 40


async def test_page_of_messages_ends_early_when_they_are_large(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    thread_id = (await a_thread(client)).thread_id
    for _ in range(12):
        await say(client, thread_id, "x" * (1 << 20))
    first = await client.threads.ListMessages(pb.ListMessagesRequest(thread_id=thread_id))
    assert 0 < len(first.messages) < 12
    assert len(await all_messages(client, thread_id)) == 12


@pytest.mark.parametrize(
    ("role", "parts", "fields"),
    [
        (USER, [], {"parts"}),
        (USER, [message_pb2.Part()], {"parts[0].content"}),
        (USER, [message_pb2.Part(text="")], {"parts[0].text"}),
        (USER, [message_pb2.Part(text="x" * (2 << 20))], {"parts[0].text"}),
        (USER, [message_pb2.Part(text="x" * (1 << 20))] * 5, {"parts"}),
        (message_pb2.ROLE_UNSPECIFIED, [message_pb2.Part(text="x")], {"role"}),
        (USER, [message_pb2.Part(tool_call=message_pb2.ToolCall(call_id="c", name="f"))], {""}),
        (message_pb2.ROLE_TOOL, [message_pb2.Part(text="x")], {""}),
    ],
)
async def test_create_message_names_what_is_wrong(
    world: ThreadsWorld, role: message_pb2.Role.ValueType, parts: list[message_pb2.Part], fields: set[str]
) -> None:
    _, client = await world.tenant()
    thread_id = (await a_thread(client)).thread_id
    with refused("INVALID_FIELDS") as refusal:
        await client.threads.CreateMessage(pb.CreateMessageRequest(thread_id=thread_id, role=role, parts=parts))
    assert {field.removesuffix(".content") for field in refusal.fields} == {f.removesuffix(".content") for f in fields}
    assert await all_messages(client, thread_id) == []


async def test_nul_in_texts_and_metadata_becomes_the_replacement_character(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    thread = await a_thread(client, title="a\0b", metadata={"k\0": "v\0"})
    assert (thread.title, dict(thread.metadata)) == ("a\ufffdb", {"k\ufffd": "v\ufffd"})
    assert (await say(client, thread.thread_id, "\0")).parts[0].text == "\ufffd"


async def test_delete_ends_its_runs_and_hides_all_of_it(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    made = await client.admission.InitiateRun(admission_service_pb2.InitiateRunRequest(text="hello"))

    async def delete() -> None:
        await client.threads.DeleteThread(pb.DeleteThreadRequest(thread_id=made.thread_id))

    waiting = run_service_pb2.WaitRunRequest(run_id=made.run_id)
    async with asyncio.TaskGroup() as group:
        group.create_task(all_refused("RUN_NOT_FOUND", (client.runs.WaitRun, waiting)))
        group.create_task(delete())
    part = message_pb2.Part(text="x")
    await all_refused(
        "THREAD_NOT_FOUND",
        (client.threads.GetThread, pb.GetThreadRequest(thread_id=made.thread_id)),
        (client.threads.UpdateThread, pb.UpdateThreadRequest(thread_id=made.thread_id, title="x")),
        (client.threads.DeleteThread, pb.DeleteThreadRequest(thread_id=made.thread_id)),
        (client.threads.ListMessages, pb.ListMessagesRequest(thread_id=made.thread_id)),
        (
            client.threads.CreateMessage,
            pb.CreateMessageRequest(thread_id=made.thread_id, role=USER, parts=[part]),
        ),
        (
            client.admission.InitiateRun,
            admission_service_pb2.InitiateRunRequest(text="x", thread_id=made.thread_id),
        ),
    )
    assert (await client.threads.ListThreads(pb.ListThreadsRequest())).threads == []


async def test_message_goes_behind_the_runs_that_wait(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    made = await client.admission.InitiateRun(admission_service_pb2.InitiateRunRequest(text="question"))
    note = await say(client, made.thread_id, "a note")
    messages = await all_messages(client, made.thread_id)
    run = (await client.runs.GetRun(run_service_pb2.GetRunRequest(run_id=made.run_id))).run
    assert [message.message_id for message in messages] == [made.message_id, note.message_id]
    assert (run.state, run.turn, note.turn) == (run_pb2.RUN_STATE_QUEUED, 1, 2)


async def test_page_tokens_are_bound_to_tenant_method_and_filter(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    _, stranger = await world.tenant()
    for _ in range(3):
        await a_thread(client)
    token = (await client.threads.ListThreads(pb.ListThreadsRequest(page_size=1))).next_page_token
    forged = token[:-2] + ("AA" if token[-2:] != "AA" else "BB")
    await all_refused(
        "PAGE_TOKEN_INVALID",
        (client.threads.ListThreads, pb.ListThreadsRequest(page_token=token, is_active=True)),
        (client.threads.ListThreads, pb.ListThreadsRequest(page_token=forged)),
        (client.threads.ListThreads, pb.ListThreadsRequest(page_token="nonsense")),
        (stranger.threads.ListThreads, pb.ListThreadsRequest(page_token=token)),
        (client.projects.ListProjects, project_service_pb2.ListProjectsRequest(page_token=token)),
    )
    page = await client.threads.ListThreads(pb.ListThreadsRequest(page_token=token, page_size=2))
    assert len(page.threads) == 2
