"""Recipes of the front door."""

from typing import Any

from google.protobuf.message import Message
from weft.gateway.v1 import agent_gateway_service_pb2 as gateway
from weft.runs.v1 import admission_service_pb2 as admission
from weft.runs.v1 import run_pb2
from weft.runs.v1 import run_service_pb2 as runs

from every_rpc.recipe import Asked, new_key, plain, recipe
from every_rpc.world import Estate


@recipe(gateway.InitiateAgentRequest, "thread")
async def initiate_in_thread(estate: Estate) -> Asked:
    return Asked(gateway.InitiateAgentRequest(**await _initiate_fields(estate)))


@plain(gateway.InitiateAgentRequest, "new thread")
def _(estate: Estate) -> Message:
    return gateway.InitiateAgentRequest(text="hello", agent_id=estate.agent_id, project_id=estate.project_id)


@recipe(gateway.StreamAgentRequest, "thread")
async def stream_in_thread(estate: Estate) -> Asked:
    return Asked(gateway.StreamAgentRequest(initiate=gateway.InitiateAgentRequest(**await _initiate_fields(estate))))


@recipe(admission.InitiateRunRequest, "thread")
async def initiate_run_in_thread(estate: Estate) -> Asked:
    return Asked(admission.InitiateRunRequest(**await _initiate_fields(estate)))


@plain(admission.InitiateRunRequest, "new thread")
def _(estate: Estate) -> Message:
    return admission.InitiateRunRequest(text="hello", agent_id=estate.agent_id, project_id=estate.project_id)


async def _initiate_fields(estate: Estate) -> dict[str, Any]:
    return {
        "text": "hello",
        "thread_id": await estate.make_thread(),
        "agent_id": estate.agent_id,
        "project_id": estate.project_id,
        "request_id": new_key(),
        "busy_strategy": run_pb2.BUSY_STRATEGY_ENQUEUE,
    }


@plain(gateway.ThreadEventsRequest)
def _(estate: Estate) -> Message:
    return gateway.ThreadEventsRequest(thread_id=estate.thread_id)


@recipe(gateway.ThreadEventsRequest, "in a run")
async def thread_events_in_a_run(estate: Estate) -> Asked:
    run = await estate.make_claimed_run()
    made = await estate.do(runs.GetRunRequest(run_id=run.run_id))
    cursor = gateway.ThreadCursor(thread_seq=3, run_id=run.run_id, run_seq=1)
    return Asked(gateway.ThreadEventsRequest(thread_id=made.run.thread_id, after=cursor))


@plain(gateway.RunEventsRequest)
def _(estate: Estate) -> Message:
    return gateway.RunEventsRequest(run_id=estate.ended_run_id)
