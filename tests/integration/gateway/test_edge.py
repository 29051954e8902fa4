"""The edge: keys, scopes, and forwarding that changes nothing."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import grpc
import pytest
from google.protobuf import descriptor_pb2
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from weft.gateway.v1 import agent_gateway_service_pb2 as pb
from weft.runs.v1 import run_log_service_pb2, run_service_pb2, run_service_pb2_grpc
from weft.runs.v1.admission_service_pb2 import InitiateRunRequest, InitiateRunResponse
from weft.tenants.v1 import tenant_service_pb2, tenant_service_pb2_grpc
from weft.tools.v1 import tool_service_pb2, tool_service_pb2_grpc
from weft_core.errors import NotFoundError, server_stopping
from weft_core.ids import format_id
from weft_gateway.public import SERVICES
from weft_grpckit.context import caller_of
from weft_grpckit.contract import contracts_of
from weft_grpckit.status import from_rpc_error, reason_of

TENANT = UUID(int=1)
KEY = "weft_owner"
OWNER = (("x-api-key", KEY),)
GET = run_service_pb2.GetRunRequest(run_id=format_id("run", UUID(int=1)))
EXECUTE = tool_service_pb2.ExecuteToolRequest(
    agent_id=format_id("agt", UUID(int=1)), name="t", arguments_json="{}", request_id="r"
)


def runs(edge: Any) -> Any:
    return run_service_pb2_grpc.RunServiceStub(edge.channel)


def tools(edge: Any) -> Any:
    return tool_service_pb2_grpc.ToolServiceStub(edge.channel)


async def failure(call: Any, seconds: float = 5) -> grpc.aio.AioRpcError:
    async with asyncio.timeout(seconds):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
    return caught.value


@pytest.mark.parametrize(
    ("metadata", "code", "reason"),
    [
        ((), "UNAUTHENTICATED", "API_KEY_MISSING"),
        ((("authorization", "Basic abc"),), "UNAUTHENTICATED", "API_KEY_MISSING"),
        ((("x-api-key", "wrong"),), "UNAUTHENTICATED", "API_KEY_INVALID"),
        ((("x-api-key", "k" * 5000),), "UNAUTHENTICATED", "API_KEY_INVALID"),
        ((("x-api-key", "o" * 32),), "PERMISSION_DENIED", "SCOPE_MISSING"),
        ((("x-api-key", "weft_reader"),), "PERMISSION_DENIED", "SCOPE_MISSING"),
    ],
    ids=["none", "basic", "unknown", "too long", "operator", "without the scope"],
)
async def test_every_kind_of_method_refuses_a_wrong_caller(edge: Any, metadata: Any, code: str, reason: str) -> None:
    initiate = edge.stub.InitiateAgent(pb.InitiateAgentRequest(text="hello"), metadata=metadata)
    execute = tools(edge).ExecuteTool(EXECUTE, metadata=metadata)
    for call in (initiate, execute.read()):
        error = await failure(call)
        assert (error.code().name, reason_of(error)) == (code, reason)


async def test_every_public_method_needs_a_key(edge: Any) -> None:
    for contract in contracts_of(SERVICES):
        assert contract.scope, contract.path
        error = await failure(edge.channel.unary_unary(contract.path)(b""))
        assert reason_of(error) == "API_KEY_MISSING", contract.path


async def test_a_key_in_the_authorization_is_as_good(edge: Any) -> None:
    call = edge.stub.InitiateAgent(
        pb.InitiateAgentRequest(text="hello"), metadata=(("authorization", f"Bearer {KEY}"),)
    )
    assert (await call).is_merged


async def test_initiate_hands_the_message_to_threads_for_the_tenant_of_the_key(edge: Any) -> None:
    request = pb.InitiateAgentRequest(text="hello", request_id="r1")
    response = await edge.stub.InitiateAgent(request, metadata=OWNER)
    assert response.run_id == format_id("run", UUID(int=9))
    ((tenant, handed),) = edge.threads.initiated
    assert (tenant, handed.text, handed.request_id) == (TENANT, "hello", "r1")


async def test_internal_fields_that_a_caller_sets_bring_nothing_internal_back(edge: Any) -> None:
    async def initiate(request: InitiateRunRequest, _context: Any) -> InitiateRunResponse:
        return InitiateRunResponse(run_id="run_1", first_event=b"event" if request.wants_first_event else b"")

    edge.threads.handlers["InitiateRun"] = initiate
    call = edge.channel.unary_unary("/weft.gateway.v1.AgentGateway/InitiateAgent")
    forged = InitiateRunRequest(text="hello", wants_first_event=True).SerializeToString()
    assert await call(forged, metadata=OWNER) == pb.InitiateAgentResponse(run_id="run_1").SerializeToString()


async def test_bad_fields_of_a_forwarded_call_are_named_by_the_service_behind(edge: Any) -> None:
    error = await failure(edge.stub.InitiateAgent(pb.InitiateAgentRequest(), metadata=OWNER))
    found = from_rpc_error(error)
    assert found is not None
    assert [violation.field for violation in found.violations] == ["text"]


async def test_a_hundred_calls_at_once_ask_for_their_key_once(edge: Any) -> None:
    calls = [edge.stub.InitiateAgent(pb.InitiateAgentRequest(text="hello"), metadata=OWNER) for _ in range(100)]
    await asyncio.gather(*(answered(call) for call in calls))
    assert edge.threads.resolved == 1


async def answered(call: Any) -> Any:
    return await call


async def test_a_forged_token_and_a_tenant_from_the_caller_are_ignored(edge: Any) -> None:
    seen: list[Any] = []

    async def get_run(request: Any, context: Any) -> Any:
        seen.extend([caller_of(context).tenant_id, dict(context.invocation_metadata())])
        return run_service_pb2.GetRunResponse()

    edge.threads.handlers["GetRun"] = get_run
    forged = (*OWNER, ("weft-token", "forged"), ("x-tenant-id", "other"), ("x-request-id", "abc"))
    await runs(edge).GetRun(GET, metadata=forged)
    tenant, metadata = seen
    assert tenant == TENANT
    assert metadata["x-request-id"] == "abc"
    assert {"x-tenant-id", "x-api-key", "authorization"}.isdisjoint(metadata)


async def test_status_details_and_trailing_metadata_come_through(edge: Any) -> None:
    async def get_run(request: Any, context: Any) -> Any:
        context.set_trailing_metadata((("x-extra", "1"),))
        raise NotFoundError("RUN_NOT_FOUND", "no such run", metadata={"a": "b"}, retry_after_seconds=2)

    edge.threads.handlers["GetRun"] = get_run
    error = await failure(runs(edge).GetRun(GET, metadata=OWNER))
    found = from_rpc_error(error)
    assert found is not None
    assert (error.code(), found.reason, found.metadata, found.retry_after_seconds) == (
        grpc.StatusCode.NOT_FOUND,
        "RUN_NOT_FOUND",
        {"a": "b"},
        2.0,
    )


async def test_trailing_metadata_of_an_answer_comes_through(edge: Any) -> None:
    async def get_run(request: Any, context: Any) -> Any:
        context.set_trailing_metadata((("x-extra", "1"),))
        return run_service_pb2.GetRunResponse()

    edge.threads.handlers["GetRun"] = get_run
    call = runs(edge).GetRun(GET, metadata=OWNER)
    await call
    assert ("x-extra", "1") in tuple(await call.trailing_metadata())


async def test_the_deadline_goes_on_less_a_margin(edge: Any) -> None:
    seen: list[float] = []

    async def get_run(request: Any, context: Any) -> Any:
        seen.append(context.time_remaining())
        return run_service_pb2.GetRunResponse()

    edge.threads.handlers["GetRun"] = get_run
    await runs(edge).GetRun(GET, metadata=OWNER, timeout=3)
    await runs(edge).GetRun(GET, metadata=OWNER)
    assert 2 < seen[0] < 2.99
    assert 60 < seen[1] < 76  # the wire rounds up


async def test_a_service_that_is_too_slow_is_told_as_the_deadline(edge: Any) -> None:
    ended = asyncio.Event()

    async def get_run(request: Any, context: Any) -> Any:
        try:
            await asyncio.sleep(30)
        finally:
            ended.set()

    edge.threads.handlers["GetRun"] = get_run
    error = await failure(runs(edge).GetRun(GET, metadata=OWNER, timeout=0.3))
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    async with asyncio.timeout(2):
        await ended.wait()


async def test_a_cancelled_call_is_cancelled_behind_the_gateway(edge: Any) -> None:
    entered, ended = asyncio.Event(), asyncio.Event()

    async def get_run(request: Any, context: Any) -> Any:
        try:
            entered.set()
            await asyncio.sleep(30)
        finally:
            ended.set()

    edge.threads.handlers["GetRun"] = get_run
    call = runs(edge).GetRun(GET, metadata=OWNER)
    async with asyncio.timeout(3):
        waiting = asyncio.ensure_future(answered(call))
        await entered.wait()
        call.cancel()
        await asyncio.wait((waiting,))
        await ended.wait()


async def test_a_cancelled_stream_is_cancelled_behind_the_gateway(edge: Any) -> None:
    ended = asyncio.Event()

    async def execute(request: Any, context: Any) -> AsyncIterator[Any]:
        try:
            while True:
                yield tool_service_pb2.ExecuteToolResponse()
                await asyncio.sleep(0.001)
        finally:
            ended.set()

    edge.threads.handlers["ExecuteTool"] = execute
    call = tools(edge).ExecuteTool(EXECUTE, metadata=OWNER)
    await call.read()
    call.cancel()
    async with asyncio.timeout(3):
        await ended.wait()


async def test_a_forwarded_stream_ends_as_it_ended_behind(edge: Any) -> None:
    async def execute(request: Any, context: Any) -> AsyncIterator[Any]:
        yield tool_service_pb2.ExecuteToolResponse()
        yield tool_service_pb2.ExecuteToolResponse()
        if request.name == "fails":
            raise NotFoundError("TOOL_NOT_FOUND", "no such tool")

    edge.threads.handlers["ExecuteTool"] = execute
    call = tools(edge).ExecuteTool(EXECUTE, metadata=OWNER)
    assert len([response async for response in call]) == 2
    failing = tool_service_pb2.ExecuteToolRequest()
    failing.CopyFrom(EXECUTE)
    failing.name = "fails"
    call = tools(edge).ExecuteTool(failing, metadata=OWNER)
    await call.read()
    await call.read()
    assert reason_of(await failure(call.read())) == "TOOL_NOT_FOUND"


async def test_back_pressure_reaches_the_service_behind(edge: Any) -> None:
    sent = 0

    async def execute(request: Any, context: Any) -> AsyncIterator[Any]:
        nonlocal sent
        response = tool_service_pb2.ExecuteToolResponse()
        response.progress.message = "x" * 50_000
        while True:
            sent += 1
            yield response

    edge.threads.handlers["ExecuteTool"] = execute
    call = tools(edge).ExecuteTool(EXECUTE, metadata=OWNER)
    await call.read()
    await asyncio.sleep(0.5)
    stalled_at = sent
    await asyncio.sleep(0.5)
    assert sent - stalled_at <= 2
    assert stalled_at < 200
    call.cancel()


async def test_a_read_is_tried_again_and_other_calls_are_not_when_threads_restarts(edge: Any) -> None:
    async def get_run(request: Any, context: Any) -> Any:
        return run_service_pb2.GetRunResponse()

    edge.threads.handlers["GetRun"] = get_run
    await runs(edge).GetRun(GET, metadata=OWNER)
    await edge.threads.stop()
    reading = asyncio.ensure_future(answered(runs(edge).GetRun(GET, metadata=OWNER)))
    error = await failure(edge.stub.InitiateAgent(pb.InitiateAgentRequest(text="hello"), metadata=OWNER))
    found = from_rpc_error(error)
    assert found is not None
    assert (error.code(), found.reason, found.retry_after_seconds) == (
        grpc.StatusCode.UNAVAILABLE,
        "SERVICE_UNAVAILABLE",
        1.0,
    )
    await edge.threads.start()
    async with asyncio.timeout(3):
        await asyncio.wait((reading,))


async def test_a_wait_that_a_stopping_replica_ends_goes_on_for_what_is_left(edge: Any) -> None:
    asked: list[float] = []

    async def wait_run(request: Any, context: Any) -> Any:
        asked.append(request.timeout.ToMicroseconds() / 1e6)
        if len(asked) == 1:
            await asyncio.sleep(0.6)
            raise server_stopping()
        return run_service_pb2.WaitRunResponse()

    edge.threads.handlers["WaitRun"] = wait_run
    request = run_service_pb2.WaitRunRequest(run_id=GET.run_id)
    request.timeout.FromSeconds(10)
    await runs(edge).WaitRun(request, metadata=OWNER)
    first, second = asked
    assert first == 10
    assert 5 < second < 9.5


async def test_a_call_that_changes_something_is_not_repeated_when_its_replica_stops(edge: Any) -> None:
    asked = 0

    async def execute(request: Any, context: Any) -> AsyncIterator[Any]:
        nonlocal asked
        asked += 1
        raise server_stopping()
        yield

    edge.threads.handlers["ExecuteTool"] = execute
    error = await failure(tools(edge).ExecuteTool(EXECUTE, metadata=OWNER).read())
    assert reason_of(error) == server_stopping().reason
    assert asked == 1


async def test_the_operator_key_opens_tenants_and_nothing_else(edge: Any) -> None:
    stub: Any = tenant_service_pb2_grpc.TenantServiceStub(edge.channel)
    request = tenant_service_pb2.ListTenantsRequest()
    assert reason_of(await failure(stub.ListTenants(request, metadata=OWNER))) == "SCOPE_MISSING"
    # The fake has no TenantService: what it says shows that the call came through.
    error = await failure(stub.ListTenants(request, metadata=(("x-api-key", "o" * 32),)))
    assert reason_of(error) == "METHOD_UNKNOWN"


async def test_a_scope_for_operators_in_an_api_key_opens_nothing(edge: Any) -> None:
    edge.threads.add_key("weft_greedy", TENANT, "tenants.admin")
    stub: Any = tenant_service_pb2_grpc.TenantServiceStub(edge.channel)
    call = stub.ListTenants(tenant_service_pb2.ListTenantsRequest(), metadata=(("x-api-key", "weft_greedy"),))
    assert reason_of(await failure(call)) == "SCOPE_MISSING"


async def test_a_revoked_key_is_refused_within_seconds_and_a_new_one_works_soon(edge: Any) -> None:
    fresh = (("x-api-key", "weft_fresh"),)
    request = pb.InitiateAgentRequest(text="hello")
    assert reason_of(await failure(edge.stub.InitiateAgent(request, metadata=fresh))) == "API_KEY_INVALID"
    edge.threads.add_key("weft_fresh", TENANT, "runs.write")
    await becomes(edge, fresh, "", 2)
    edge.threads.revoke("weft_fresh")
    await becomes(edge, fresh, "API_KEY_INVALID", 6)


async def becomes(edge: Any, metadata: Any, reason: str, seconds: float) -> None:
    """Call until the outcome is this one."""
    end = time.monotonic() + seconds
    outcome = "?"
    while outcome != reason:
        assert time.monotonic() < end, outcome
        try:
            await edge.stub.InitiateAgent(pb.InitiateAgentRequest(text="hello"), metadata=metadata)
            outcome = ""
        except grpc.aio.AioRpcError as error:
            outcome = reason_of(error)
        await asyncio.sleep(0.05)


async def test_internal_methods_are_unknown_at_the_edge(edge: Any) -> None:
    for path in ("/weft.runs.v1.RunLogService/ReadEvents", "/weft.tenants.v1.CredentialService/ResolveApiKey", "/x/y"):
        error = await failure(edge.channel.unary_unary(path)(b""))
        assert (error.code(), reason_of(error)) == (grpc.StatusCode.UNIMPLEMENTED, "METHOD_UNKNOWN")


async def test_reflection_shows_exactly_the_public_services(edge: Any) -> None:
    answers = await reflect(
        edge,
        reflection_pb2.ServerReflectionRequest(list_services=""),
        *(reflection_pb2.ServerReflectionRequest(file_containing_symbol=each.full_name) for each in SERVICES),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="weft.runs.v1.RunLogService"),
        reflection_pb2.ServerReflectionRequest(file_by_filename=run_log_service_pb2.DESCRIPTOR.name),
    )
    listed = {service.name for service in answers[0].list_services_response.service}
    assert listed == {service.full_name for service in SERVICES} | {"grpc.reflection.v1alpha.ServerReflection"}
    for answer in answers[1:-2]:
        assert descriptor_pb2.FileDescriptorProto.FromString(
            answer.file_descriptor_response.file_descriptor_proto[0]
        ).service
    assert [answer.HasField("error_response") for answer in answers[-2:]] == [True, True]


async def reflect(edge: Any, *requests: Any) -> list[Any]:
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(edge.channel)

    async def asked() -> AsyncIterator[Any]:
        for request in requests:
            yield request

    return [answer async for answer in stub.ServerReflectionInfo(asked())]


async def test_health_needs_no_key(edge: Any) -> None:
    stub: Any = health_pb2_grpc.HealthStub(edge.channel)
    answer = await stub.Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_a_forwarded_stream_is_ended_with_a_reason_when_the_gateway_stops(edge: Any) -> None:
    async def execute(request: Any, context: Any) -> AsyncIterator[Any]:
        yield tool_service_pb2.ExecuteToolResponse()
        await asyncio.sleep(60)

    edge.threads.handlers["ExecuteTool"] = execute
    call = tools(edge).ExecuteTool(EXECUTE, metadata=OWNER)
    await call.read()
    stop = asyncio.create_task(edge.stop())
    error = await failure(call.read())
    assert (error.code(), reason_of(error)) == (grpc.StatusCode.UNAVAILABLE, server_stopping().reason)
    async with asyncio.timeout(3):
        await stop


async def test_error_details_can_be_printed_by_reflection(edge: Any) -> None:
    name = error_details_pb2.ErrorInfo.DESCRIPTOR.full_name
    (answer,) = await reflect(edge, reflection_pb2.ServerReflectionRequest(file_containing_symbol=name))
    assert answer.file_descriptor_response.file_descriptor_proto
