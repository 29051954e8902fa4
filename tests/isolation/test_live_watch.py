"""A live run is seen by its tenant only, from the first event to the last."""

import asyncio

import pytest
from every_rpc.answers import Answer
from every_rpc.recipes import recipes_of
from every_rpc.world import BY_REQUEST, Estate, World
from weft.gateway.v1 import agent_gateway_service_pb2 as gateway
from weft.runs.v1 import run_queue_service_pb2 as queue
from weft.runs.v1 import run_service_pb2 as runs

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.row("E3", "G9")]

WATCH = BY_REQUEST[gateway.RunEventsRequest.DESCRIPTOR.full_name]
COMMIT = BY_REQUEST[queue.CommitRequest.DESCRIPTOR.full_name]


async def test_a_stranger_sees_nothing_of_a_live_run(world: World, owner: Estate, stranger: Estate) -> None:
    batch = (await recipes_of(COMMIT)[0].cook(owner)).request
    assert isinstance(batch, queue.CommitRequest)
    run_id = batch.entries[0].run_id
    own = asyncio.create_task(_watch(world, run_id, owner.key))
    foreign = [asyncio.create_task(_watch(world, run_id, stranger.key)) for _ in range(5)]
    for number in range(20):
        result = (await owner.do(batch)).results[0]
        batch.entries[0].expected_seq = result.last_seq
        if number % 4 == 0:
            foreign.append(asyncio.create_task(_watch(world, run_id, stranger.key)))
        await asyncio.sleep(0.01)
    await owner.do(runs.CancelRunRequest(run_id=run_id))
    for told in await asyncio.gather(*foreign):
        assert told.verdict == ("NOT_FOUND", "RUN_NOT_FOUND")
        assert told.responses == ()
    seen = [event for response in (await own).responses for event in response.events]
    assert [event.seq for event in seen] == list(range(1, len(seen) + 1))
    assert sum(event.HasField("message_delta") for event in seen) == 20
    assert seen[-1].HasField("run_cancelled")


async def _watch(world: World, run_id: str, key: str) -> Answer:
    return await world.ask_gateway(WATCH, gateway.RunEventsRequest(run_id=run_id), key)
