"""The title of a thread, through the public API: better after the first run, and never worth a wait."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from e2e.asking import model_calls
from public_api import Api, type_of
from weft.threads.v1 import thread_service_pb2
from weft_cli.stack import Stack


@pytest.fixture
async def titles(stack: Stack) -> AsyncIterator[None]:
    """Let the runner make titles."""
    await asyncio.to_thread(stack.restart, "agent-runner", {"WEFT_TITLES": "1"})
    yield
    await asyncio.to_thread(stack.restart, "agent-runner")


async def title_of(api: Api, thread_id: str) -> str:
    request = thread_service_pb2.GetThreadRequest(thread_id=thread_id)
    return str((await api.threads.GetThread(request, metadata=api.metadata, timeout=10)).thread.title)


async def until_titled(api: Api, thread_id: str, title: str) -> None:
    async with asyncio.timeout(20):
        while await title_of(api, thread_id) != title:  # noqa: ASYNC110 - the title is told by the thread's own events
            await asyncio.sleep(0.05)


@pytest.mark.row("A3")
async def test_thread_is_titled_after_its_first_run_and_only_then(api: Api, stack: Stack, titles: None) -> None:
    model = "scripted:tag=titled"
    agent = await api.make_agent(model)
    first = await api.initiate("How are roses pruned well in a cold spring?", agent_id=agent)
    assert await title_of(api, first.thread_id) == "How are roses pruned well in a cold spring?"
    assert type_of((await api.events(first.run_id))[-1]) == "run_succeeded"
    await until_titled(api, first.thread_id, "About: How are roses pruned well in")
    second = await api.initiate("And tulips?", thread_id=first.thread_id)
    assert type_of((await api.events(second.run_id))[-1]) == "run_succeeded"
    assert len(await model_calls(stack, model=model, ended=3)) == 3, "two answers and one title"
    assert (await api.get_run(first.run_id)).usage.model_calls == 1


@pytest.mark.row("A3")
async def test_runner_that_dies_before_the_title_leaves_the_thread_as_it_was(
    api: Api, stack: Stack, titles: None
) -> None:
    model = "scripted:ttft=1.5,tag=untitled"
    agent = await api.make_agent(model)
    made = await api.initiate("Roses?", agent_id=agent)
    assert type_of((await api.events(made.run_id))[-1]) == "run_succeeded"
    await model_calls(stack, model=model, started=2)
    await asyncio.to_thread(stack.kill, "agent-runner")
    await asyncio.to_thread(stack.start, "agent-runner", {"WEFT_TITLES": "1"})
    after = await api.initiate("And tulips?", thread_id=made.thread_id)
    assert type_of((await api.events(after.run_id))[-1]) == "run_succeeded"
    assert await title_of(api, made.thread_id) == "Roses?"
    assert len(await model_calls(stack, model=model, ended=3)) == 3, "no second try"
