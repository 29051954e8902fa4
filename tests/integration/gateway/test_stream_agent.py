"""StreamAgent: the ids first, then the run from its first event; whoever leaves, the run goes on."""

import asyncio
from typing import Any
from uuid import UUID

import grpc
import pytest
from integration.gateway.streams import failure, read, read_all, until
from weft.gateway.v1.agent_gateway_service_pb2 import InitiateAgentResponse
from weft.runs.v1.admission_service_pb2 import InitiateRunResponse
from weft_core.errors import FailedPreconditionError, NotFoundError
from weft_grpckit.status import from_rpc_error, reason_of

TENANT = UUID(int=1)
# What the fake answers an initiate with.
RUN_NUMBER = 9


async def opened(edge: Any, **fields: Any) -> tuple[Any, Any]:
    """Return an open stream after its first response, which has the ids and nothing else."""
    call = edge.stream_agent(**fields)
    first = await call.read()
    assert first.HasField("initiated"), first
    assert not first.events
    assert not first.HasField("keepalive")
    return call, first.initiated


async def test_the_ids_come_first_then_the_run_from_its_first_event_to_its_last(edge: Any) -> None:
    run = edge.threads.add_run(TENANT, RUN_NUMBER)
    edge.threads.append(run)
    call, initiated = await opened(edge, text="hello", request_id="once")
    assert initiated.run_id == run.run_id
    assert initiated.is_merged
    tenant, asked = edge.threads.initiated[0]
    assert (tenant, asked.text, asked.request_id) == (TENANT, "hello", "once")
    assert await read(call, 1) == [1]
    edge.threads.append(run, 3)
    edge.threads.append(run, is_terminal=True)
    assert await read_all(call) == [2, 3, 4, 5]
    assert len(edge.threads.initiated) == 1


def answers_with_first_event(edge: Any, run: Any, also_committed: int = 0) -> None:
    """Have InitiateRun answer what it answers for a run that it has just made."""

    async def initiate(_request: Any, _context: Any) -> InitiateRunResponse:
        edge.threads.append(run, is_published=False)
        if also_committed:
            edge.threads.append(run, also_committed)
        return InitiateRunResponse(run_id=run.run_id, first_event=run.events[0])

    edge.threads.handlers["InitiateRun"] = initiate


async def test_a_run_that_was_just_made_is_followed_without_a_read_of_its_log(edge: Any) -> None:
    run = edge.threads.add_run(TENANT, RUN_NUMBER)
    answers_with_first_event(edge, run)
    call, initiated = await opened(edge)
    assert initiated == InitiateAgentResponse(run_id=run.run_id), "the event is not part of the ids"
    assert await read(call, 1) == [1]
    await edge.subscriptions_become(1)
    edge.threads.append(run, 3)
    edge.threads.append(run, is_terminal=True)
    assert await read_all(call) == [2, 3, 4, 5]
    assert edge.threads.pages_read == 0


async def test_what_was_committed_before_the_subscription_is_read_when_more_comes(edge: Any) -> None:
    run = edge.threads.add_run(TENANT, RUN_NUMBER)
    answers_with_first_event(edge, run, also_committed=2)
    call, _ = await opened(edge)
    assert await read(call, 1) == [1]
    edge.threads.append(run, is_terminal=True)
    assert await read_all(call) == [2, 3, 4]
    assert edge.threads.pages_read > 0


async def test_a_run_that_has_long_ended_is_shown_whole_to_who_repeats_the_request(edge: Any) -> None:
    run = edge.threads.add_run(TENANT, RUN_NUMBER)
    edge.threads.append(run, 120, is_terminal=True)
    for _ in range(2):
        call, initiated = await opened(edge, request_id="once")
        assert initiated.run_id == run.run_id
        assert await read_all(call) == list(range(1, 121))


async def test_the_client_that_leaves_frees_its_stream_and_the_run_goes_on(edge: Any) -> None:
    run = edge.threads.add_run(TENANT, RUN_NUMBER)
    edge.threads.append(run)
    call, _ = await opened(edge)
    assert await read(call, 1) == [1]
    call.cancel()
    await until(lambda: edge.gateway.server.active_calls == 0)
    assert edge.gateway.hub.watched == 0
    await edge.subscriptions_become(0)
    edge.threads.append(run, is_terminal=True)
    assert await read_all(edge.watch(run, 1)) == [2]


async def test_silence_is_filled_with_keepalives(impatient: Any) -> None:
    run = impatient.threads.add_run(TENANT, RUN_NUMBER)
    impatient.threads.append(run)
    call, _ = await opened(impatient)
    assert await read(call, 1) == [1]
    told = (await call.read()).keepalive
    assert (told.run_id, told.head_seq) == (run.run_id, 1)


async def test_it_follows_into_the_run_that_took_over(edge: Any) -> None:
    run, successor = edge.threads.add_run(TENANT, RUN_NUMBER), edge.threads.add_run(TENANT, 10)
    edge.threads.append(run, 2, is_terminal=True, successor=successor)
    edge.threads.append(successor, 3, is_terminal=True)
    plain, _ = await opened(edge)
    assert await read_all(plain) == [1, 2]
    call, _ = await opened(edge, follow_successor=True)
    assert await read_all(call) == [1, 2, 1, 2, 3]


async def test_a_slow_reader_loses_nothing(edge: Any) -> None:
    run = edge.threads.add_run(TENANT, RUN_NUMBER)
    edge.threads.append(run)
    call, _ = await opened(edge)
    for _ in range(100):
        edge.threads.append(run, 100)
        await asyncio.sleep(0)
    edge.threads.append(run, is_terminal=True)
    assert await read_all(call, seconds=20) == list(range(1, 10_003))


async def test_a_stopping_gateway_ends_it_at_once(edge: Any) -> None:
    run = edge.threads.add_run(TENANT, RUN_NUMBER)
    edge.threads.append(run)
    call, _ = await opened(edge)
    assert await read(call, 1) == [1]
    stop = asyncio.create_task(edge.stop())
    error = await failure(call, seconds=1)
    assert (error.code(), reason_of(error)) == (grpc.StatusCode.UNAVAILABLE, "SERVER_STOPPING")
    async with asyncio.timeout(2):
        await stop


async def test_what_initiate_is_refused_for_is_told_as_by_initiate_agent(edge: Any) -> None:
    async def refuse(request: Any, context: Any) -> Any:
        raise FailedPreconditionError("THREAD_BUSY", "the thread is busy", metadata={"run_id": "run_1"})

    edge.threads.handlers["InitiateRun"] = refuse
    error = await failure(edge.stream_agent())
    found = from_rpc_error(error)
    assert found is not None
    assert (error.code(), found.reason, found.metadata) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "THREAD_BUSY",
        {"run_id": "run_1"},
    )
    assert edge.gateway.hub.watched == 0


async def test_a_reason_without_details_is_kept(edge: Any) -> None:
    async def refuse(request: Any, context: Any) -> Any:
        raise NotFoundError("AGENT_NOT_FOUND", "no such agent")

    edge.threads.handlers["InitiateRun"] = refuse
    assert reason_of(await failure(edge.stream_agent())) == "AGENT_NOT_FOUND"


@pytest.mark.parametrize(("key", "scope"), [("weft_reader", "runs.write"), ("weft_writer", "runs.read")])
async def test_it_needs_both_rights_and_starts_nothing_without(edge: Any, key: str, scope: str) -> None:
    found = from_rpc_error(await failure(edge.stream_agent(key)))
    assert found is not None
    assert (found.reason, found.metadata) == ("SCOPE_MISSING", {"scope": scope})
    assert edge.threads.initiated == []


@pytest.mark.parametrize(
    ("fields", "field"), [({"text": ""}, "initiate.text"), ({"thread_id": "run_1"}, "initiate.thread_id")]
)
async def test_fields_that_are_wrong_are_named_and_nothing_is_started(
    edge: Any, fields: dict[str, str], field: str
) -> None:
    found = from_rpc_error(await failure(edge.stream_agent(**fields)))
    assert found is not None
    assert (found.reason, [violation.field for violation in found.violations]) == ("INVALID_FIELDS", [field])
    assert edge.threads.initiated == []


async def test_a_request_without_anything_to_start_is_refused(edge: Any) -> None:
    call = edge.channel.unary_stream("/weft.gateway.v1.AgentGateway/StreamAgent")(
        b"", metadata=(("x-api-key", "weft_owner"),)
    )
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    found = from_rpc_error(caught.value)
    assert found is not None
    assert [violation.field for violation in found.violations] == ["initiate"]


async def test_without_threads_it_says_so_and_when_to_come_back(edge: Any) -> None:
    edge.threads.append(edge.threads.add_run(TENANT, RUN_NUMBER), is_terminal=True)
    call, _ = await opened(edge)  # the gateway knows the key afterwards
    await read_all(call)
    await edge.threads.stop()
    error = await failure(edge.stream_agent(), seconds=10)
    assert (error.code(), reason_of(error)) == (grpc.StatusCode.UNAVAILABLE, "SERVICE_UNAVAILABLE")
