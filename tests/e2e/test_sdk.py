"""The Python SDK on a whole Weft, through Envoy: answers, ends without one, refusals; each by either client."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from client_world import Client
from public_api import Api, new_tenant
from weft.gateway.v1.agent_gateway_service_pb2 import ThreadCursor, ThreadEventsResponse
from weft.runs.v1 import run_pb2
from weft.threads.v1 import message_pb2
from weft.threads.v1.thread_service_pb2 import DeleteThreadRequest, GetThreadRequest, ListMessagesRequest
from weft_cli.stack import Stack
from weft_client import (
    AsyncWeft,
    DeadlineExceededError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    RunCancelledError,
    RunFailedError,
    RunSupersededError,
    UnauthenticatedError,
    Weft,
)
from weft_client.patience import Contact, Outage, Patience
from weft_client.thread_watch import ThreadWatch


@pytest.fixture(params=["sync", "async"])
async def client(stack: Stack, api: Api, request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    client = Client((Weft if request.param == "sync" else AsyncWeft)(stack.address("envoy"), api.key))
    yield client
    await client.close()


async def test_a_thread_is_gone_on_with(api: Api, client: Client) -> None:
    agent = await api.make_agent("scripted")
    first = await client.call("run", "What is a warp?", agent=agent, timeout=60)
    second = await client.call("run", "And a weft?", thread=first.thread_id, timeout=60)
    assert second.thread_id == first.thread_id
    assert second.finish == "stop"
    assert second.usage.output_tokens > 0
    messages = await api.messages(first.thread_id)
    answers = [m for m in messages if m.role == message_pb2.ROLE_ASSISTANT]
    assert [first.text, second.text] == [message.parts[0].text for message in answers]
    assert [first.message_id, second.message_id] == [message.message_id for message in answers]
    assert "And a weft?" in second.text


async def test_a_run_with_tools_is_seen_as_it_happens(api: Api, client: Client) -> None:
    agent = await api.make_agent("scripted", tools=["create_task"])
    events = await client.collect(client.weft.stream('Create a task "Prune the roses".', agent=agent, timeout=60))
    assert events == await api.events(events[0].run_id)
    kinds = [event.WhichOneof("payload") for event in events]
    assert kinds.index("tool_executing") < kinds.index("tool_completed") < kinds.index("run_succeeded")


async def test_files_go_along_with_a_message(api: Api, client: Client) -> None:
    files = {"roses.md": b"Roses are pruned in March."}
    answer = await client.call("run", "Read it.", agent=await api.make_agent("scripted"), attachments=files, timeout=60)
    assert "Roses are pruned in March." in answer.text


async def test_a_cancelled_run_is_told_with_what_it_said_until_then(api: Api, client: Client) -> None:
    agent = await api.make_agent("scripted:tps=20,count=400")
    running = asyncio.create_task(client.call("run", "Talk.", agent=agent, request_id="talk", timeout=60))
    started = await client.call("start", "Talk.", agent=agent, request_id="talk")
    await api.events(started.run_id, stop_when=lambda event: event.HasField("message_delta"))
    run = await client.call("cancel", started.run_id)
    assert run.state == run_pb2.RUN_STATE_CANCELLED
    with pytest.raises(RunCancelledError) as raised:
        await running
    assert (raised.value.run_id, raised.value.reason) == (started.run_id, "REQUESTED")
    (stored,) = [m for m in await api.messages(started.thread_id) if m.role == message_pb2.ROLE_ASSISTANT]
    assert raised.value.answer.text == stored.parts[0].text


async def test_a_failed_run_is_told_with_its_reason(api: Api, client: Client) -> None:
    agent = await api.make_agent("scripted:status=401")
    with pytest.raises(RunFailedError) as raised:
        await client.call("run", "Hello", agent=agent, timeout=60)
    assert raised.value.reason == "MODEL_REFUSED"
    run = await client.call("get_run", raised.value.run_id)
    assert raised.value.message.endswith(run.failure.message)


async def test_discarded_text_is_not_in_the_answer(api: Api, client: Client) -> None:
    agent = await api.make_agent("scripted:count=30,cut=10,fail_first=1,tps=200")
    text = f"Say it twice, {type(client.weft).__name__}."  # what fails first is known by its text
    answer = await client.call("run", text, agent=agent, timeout=60)
    events = await api.events(answer.run_id)
    assert any(event.HasField("message_discarded") for event in events)
    (stored,) = [m for m in await api.messages(answer.thread_id) if m.role == message_pb2.ROLE_ASSISTANT]
    assert answer.text == stored.parts[0].text


@pytest.mark.row("D3")
async def test_the_caller_of_a_merged_run_is_led_to_the_answer_if_it_asks(api: Api, client: Client) -> None:
    agent = await api.make_agent("scripted:tps=30,count=120")
    ask = {"agent": agent, "request_id": "one", "timeout": 60}
    started = await client.call("start", "One.", **ask)
    led = asyncio.create_task(client.call("run", "One.", **ask, follow=True))
    left = asyncio.create_task(client.call("run", "One.", **ask))
    seen = asyncio.create_task(client.collect(client.weft.events(started.run_id, follow=True, timeout=60)))
    await api.events(started.run_id, stop_when=lambda event: event.HasField("message_delta"))
    merged = await client.call("start", "Two.", thread=started.thread_id, busy_strategy="merge")
    answer = await led
    assert (answer.run_id, answer.started.run_id) == (merged.run_id, started.run_id)
    with pytest.raises(RunSupersededError) as raised:
        await left
    assert raised.value.successor_run_id == merged.run_id
    assert await seen == [*(await api.events(started.run_id)), *(await api.events(merged.run_id))]


@pytest.mark.row("B5")
async def test_a_thread_is_watched_over_its_runs_until_it_is_deleted(api: Api, client: Client) -> None:
    agent = await api.make_agent("scripted")
    first = await client.call("run", "One.", agent=agent, timeout=60)
    watching = asyncio.create_task(client.collect(client.weft.thread_events(first.thread_id, timeout=60)))
    second = await client.call("run", "Two.", thread=first.thread_id, timeout=60)
    logs = {run_id: await api.events(run_id) for run_id in (first.run_id, second.run_id)}
    messages = await api.messages(first.thread_id)
    some = await client.collect(client.weft.thread_events(first.thread_id, timeout=60), 8)
    later = client.weft.thread_events(first.thread_id, after=cursor_behind(some), timeout=60)
    rest = asyncio.create_task(client.collect(later))
    await api.threads.DeleteThread(DeleteThreadRequest(thread_id=first.thread_id), metadata=api.metadata, timeout=10)
    items = await watching
    for run_id, log in logs.items():
        assert [item.run_event for item in items if item.run_event.run_id == run_id] == log
    own = [item.thread_event for item in items if item.HasField("thread_event")]
    assert [event.seq for event in own] == list(range(1, len(own) + 1))
    asked = [event.message_created.message for event in own if event.HasField("message_created")]
    assert asked == [message for message in messages if message.role == message_pb2.ROLE_USER]
    assert own[-1].HasField("thread_deleted")
    assert [*some, *(await rest)] == items


def cursor_behind(items: list[Any]) -> ThreadCursor:
    """Return the place behind items from the start, as the SDK keeps it."""
    watch = ThreadWatch("thr_1", None, Outage(Patience(), Contact()))
    return list(watch.admit(ThreadEventsResponse(items=items)))[-1].cursor


async def test_refusals_are_typed(stack: Stack, api: Api, client: Client) -> None:
    with pytest.raises(InvalidArgumentError) as invalid:
        await client.call("start", "")
    assert [violation.field for violation in invalid.value.violations] == ["text"]
    with pytest.raises(NotFoundError) as missing:
        await client.call("run", "Hello", agent="agt_00000000000000000000000000")
    assert missing.value.reason == "AGENT_NOT_FOUND"
    busy = await client.call("start", "Hello", agent=await api.make_agent("scripted:silent=0"))
    with pytest.raises(FailedPreconditionError) as refused:
        await client.call("run", "Again", thread=busy.thread_id, busy_strategy="reject")
    assert (refused.value.reason, refused.value.metadata["run_id"]) == ("THREAD_BUSY", busy.run_id)
    with pytest.raises(DeadlineExceededError):
        await client.call("wait", busy.run_id, timeout=0.2)
    await client.call("cancel", busy.run_id)
    assert (await client.call("wait", busy.run_id, timeout=30)).state == run_pb2.RUN_STATE_CANCELLED


async def test_keys_without_the_right_are_refused(stack: Stack, client: Client) -> None:
    kind: Any = type(client.weft)
    stranger = Client(kind(stack.address("envoy"), "weft_nobody"))
    with pytest.raises(UnauthenticatedError, match="API_KEY_INVALID"):
        await stranger.call("run", "Hello")
    await stranger.close()
    async with new_tenant([stack.address("gateway")], stack.operator_key, scopes=["runs.read"]) as reader:
        reading = Client(kind(stack.address("envoy"), reader.key))
        with pytest.raises(PermissionDeniedError) as refused:
            await reading.call("run", "Hello")
        assert refused.value.metadata["scope"] == "runs.write"
        await reading.close()


async def test_the_services_methods_are_there_with_their_types(api: Api, stack: Stack) -> None:
    agent = await api.make_agent("scripted")
    with Weft(stack.address("envoy"), api.key) as weft:
        answer = await asyncio.to_thread(weft.run, "Hello", agent=agent, timeout=60)
        thread = await asyncio.to_thread(weft.threads.GetThread, GetThreadRequest(thread_id=answer.thread_id))
        assert thread.thread.thread_id == answer.thread_id
    async with AsyncWeft(stack.address("envoy"), api.key) as asynchronous:
        listed = await asynchronous.threads.ListMessages(ListMessagesRequest(thread_id=answer.thread_id))
        assert [message.role for message in listed.messages] == [message_pb2.ROLE_USER, message_pb2.ROLE_ASSISTANT]
