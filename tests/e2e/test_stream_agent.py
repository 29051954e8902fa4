"""StreamAgent through the public API: ids first, the same run for the same request, whoever leaves."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from public_api import Api, text_of, type_of
from weft.gateway.v1 import agent_gateway_service_pb2 as pb
from weft.runs.v1 import event_pb2, run_pb2


def stream(api: Api, text: str, *, follow_successor: bool = False, **fields: Any) -> Any:
    request = pb.StreamAgentRequest(
        initiate=pb.InitiateAgentRequest(text=text, **fields), follow_successor=follow_successor
    )
    return api.gateway.StreamAgent(request, metadata=api.metadata)


async def ids_of(api: Api, call: Any) -> pb.InitiateAgentResponse:
    first = await call.read()
    assert first.HasField("initiated")
    assert not first.events
    api.recordings.initiated(first.initiated.run_id, first.initiated.message_id)
    made: pb.InitiateAgentResponse = first.initiated
    return made


async def rest_of(call: Any) -> list[event_pb2.RunEvent]:
    async with asyncio.timeout(60):
        return [event async for response in _responses(call) for event in response.events]


async def _responses(call: Any) -> Any:
    while isinstance(response := await call.read(), pb.StreamAgentResponse):
        yield response


@pytest.mark.row("A5")
async def test_ids_come_first_then_the_whole_run(api: Api) -> None:
    call = stream(api, "hello", agent_id=await api.make_agent("scripted"))
    made = await ids_of(api, call)
    events = await rest_of(call)
    api.recordings.watched(made.run_id, events)
    assert {event.run_id for event in events} == {made.run_id}
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert type_of(events[-1]) == "run_succeeded"
    assert "hello" in text_of(events)
    assert await api.events(made.run_id) == events


@pytest.mark.row("A5")
async def test_the_same_request_is_the_same_run_from_its_start(api: Api) -> None:
    agent, key = await api.make_agent("scripted:tps=50,count=50"), str(uuid4())
    first, twin = (stream(api, "once", agent_id=agent, request_id=key) for _ in range(2))
    made, same = await ids_of(api, first), await ids_of(api, twin)
    assert (made.run_id, made.message_id) == (same.run_id, same.message_id)
    seen, seen_by_twin = await asyncio.gather(rest_of(first), rest_of(twin))
    late = stream(api, "once", agent_id=agent, request_id=key)
    assert (await ids_of(api, late)).run_id == made.run_id
    assert seen == seen_by_twin == await rest_of(late)
    assert len(await api.messages(made.thread_id)) == 2


@pytest.mark.row("A5", "B1")
async def test_the_run_goes_on_when_its_caller_leaves(api: Api) -> None:
    call = stream(api, "talk on", agent_id=await api.make_agent("scripted:tps=50,count=60"))
    made = await ids_of(api, call)
    seen: list[event_pb2.RunEvent] = []
    async with asyncio.timeout(30):
        while not any(type_of(event) == "message_delta" for event in seen):
            seen += (await call.read()).events
    call.cancel()
    rest = await api.events(made.run_id, seen[-1].seq)
    assert type_of(rest[-1]) == "run_succeeded"
    assert [event.seq for event in [*seen, *rest]] == list(range(1, rest[-1].seq + 1))


async def test_who_follows_is_led_from_run_to_run_of_a_merged_thread(api: Api) -> None:
    agent = await api.make_agent("scripted:tps=30,count=100")
    first = stream(api, "one", agent_id=agent, follow_successor=True, busy_strategy=run_pb2.BUSY_STRATEGY_MERGE)
    made = await ids_of(api, first)
    plain = asyncio.create_task(api.events(made.run_id))
    runs = [made.run_id]
    for text in ("two", "three"):
        again = await api.initiate(text, thread_id=made.thread_id, busy_strategy=run_pb2.BUSY_STRATEGY_MERGE)
        assert again.is_merged
        runs.append(again.run_id)
    events = await rest_of(first)
    followed = list(dict.fromkeys(event.run_id for event in events))
    assert followed[0] == runs[0]
    assert followed[-1] == runs[-1], "it ends with the run that nobody took over"
    assert type_of(events[-1]) == "run_succeeded"
    for run_id in followed:
        own = [event for event in events if event.run_id == run_id]
        assert own == await api.events(run_id)
        assert (type_of(own[-1]) == "run_superseded") == (run_id != runs[-1])
    assert type_of((await plain)[-1]) == "run_superseded"
    assert {(await api.wait(run_id)).state for run_id in runs[:-1]} == {run_pb2.RUN_STATE_SUPERSEDED}
