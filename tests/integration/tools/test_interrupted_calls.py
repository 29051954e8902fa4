"""What becomes of a call whose watcher, journal, lease or server goes away in the middle."""

import asyncio
import time
from dataclasses import replace

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from integration.tools.harness import (
    KEY,
    QUICK,
    SCOPES,
    TENANT,
    Setting,
    ToolsServer,
    a_place,
    a_request,
    events_of,
    eventually,
    failure_of,
    last_of,
    within,
)
from weft.runs.v1 import event_pb2
from weft.tools.v1 import tool_journal_service_pb2 as journal_pb
from weft.tools.v1 import tool_service_pb2
from weft.tools.v1.tool_journal_service_pb2_grpc import ToolJournalServiceStub
from weft_grpckit.channels import open_channel
from weft_grpckit.status import reason_of
from weft_grpckit.tokens import TokenSigner
from weft_testkit.effect_tools import effects_in
from weft_tools.domain.arguments import digest_of

UNKNOWN = event_pb2.TOOL_FAILURE_REASON_OUTCOME_UNKNOWN
CANCELLED = event_pb2.TOOL_FAILURE_REASON_CANCELLED


def is_idle(server: ToolsServer) -> bool:
    return server.executor.under_way == 0


async def test_a_caller_who_cancels_stops_the_tool_and_the_journal_says_so(
    setting: Setting, server: ToolsServer
) -> None:
    request = a_request(setting.agent("gate"), "gate")
    call = server.stub.ExecuteTool(request, metadata=setting.caller())
    await within(setting.gate.entered.wait())
    call.cancel()
    await within(setting.gate.left.wait())
    assert setting.gate.was_cancelled
    await eventually(lambda: is_idle(server))
    outcome = await last_of(server.stub.ExecuteTool(request, metadata=setting.caller()))
    assert outcome.reason == CANCELLED
    assert "its effect may have happened" in outcome.message
    assert len(setting.gate.calls) == 1


async def test_a_callers_deadline_stops_the_tool(setting: Setting, server: ToolsServer) -> None:
    request = a_request(setting.agent("gate"), "gate")
    call = server.stub.ExecuteTool(request, metadata=setting.caller(), timeout=0.3)
    error = await failure_of(call)
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await within(setting.gate.left.wait())
    await eventually(lambda: is_idle(server))


async def test_an_idempotent_call_is_given_back_and_a_repeat_begins_at_once(setting: Setting) -> None:
    server = await setting.server(replace(QUICK, lease=30.0))
    request = a_request(setting.agent("idempotent_gate"), "idempotent_gate")
    call = server.stub.ExecuteTool(request, metadata=setting.caller())
    await within(setting.gate.entered.wait())
    call.cancel()
    await eventually(lambda: is_idle(server))
    setting.gate.opened.set()
    assert (await last_of(server.stub.ExecuteTool(request, metadata=setting.caller()), 5)).content == "passed"
    first, second = setting.gate.calls
    assert (first.execution_id, first.attempt, second.attempt) == (second.execution_id, 1, 2)


@pytest.mark.parametrize("name", ["gate", "idempotent_gate"])
async def test_a_call_whose_process_died_is_begun_again_only_if_that_does_no_harm(
    setting: Setting, server: ToolsServer, name: str
) -> None:
    run = setting.run(name)
    dead = journal_pb.BeginExecutionRequest(
        name=name,
        arguments_sha256=digest_of({}),
        is_idempotent=name == "idempotent_gate",
        lease=Duration(nanos=300_000_000),
        run_place=tool_service_pb2.RunPlace(step=1),
    )
    async with open_channel(setting.threads.address) as channel:
        stub = ToolJournalServiceStub(channel)
        begun = await stub.BeginExecution(dead, metadata=setting.runner(run))
    setting.gate.opened.set()
    outcome = await last_of(server.stub.ExecuteTool(a_place(name), metadata=setting.runner(run)))
    if name == "gate":
        assert outcome.reason == UNKNOWN
        assert not setting.gate.calls
    else:
        assert outcome.content == "passed"
        (call,) = setting.gate.calls
        assert (call.execution_id, call.attempt) == (begun.tool_execution_id, 2)


async def test_what_a_dead_runner_began_goes_on_and_the_next_runner_finds_it_done(
    setting: Setting, server: ToolsServer
) -> None:
    run = setting.run("count_effect")
    request = a_place("count_effect", arguments='{"seconds": 0.5}')
    call = server.stub.ExecuteTool(request, metadata=setting.runner(run))
    await within(call.read())
    call.cancel()
    run.epoch = 2
    outcome = await last_of(server.stub.ExecuteTool(request, metadata=setting.runner(run, epoch=2)))
    assert '"attempt": 1' in outcome.content
    assert list(effects_in(setting.effects).values()) == [1]


@pytest.mark.parametrize("end", ["stop", "over", "deleted"])
async def test_the_tool_of_a_run_that_is_over_is_stopped(setting: Setting, server: ToolsServer, end: str) -> None:
    run = setting.run("idempotent_gate")
    call = server.stub.ExecuteTool(a_place("idempotent_gate"), metadata=setting.runner(run))
    await within(setting.gate.entered.wait())
    call.cancel()
    await asyncio.sleep(5 * QUICK.poll_interval)
    assert not setting.gate.left.is_set()
    if end == "stop":
        run.is_stop_requested = True
    elif end == "over":
        run.is_running = False
    else:
        del setting.threads.world.tenant(TENANT).runs[run.run_id]
    await within(setting.gate.left.wait())
    await eventually(lambda: is_idle(server))
    (execution,) = setting.threads.journal.executions.values()
    assert execution.result is not None
    assert execution.result.failed.reason == CANCELLED


async def test_a_call_that_was_left_before_it_could_begin_never_begins(setting: Setting, server: ToolsServer) -> None:
    setting.threads.journal.is_away = True
    request = a_request(setting.agent("count_effect"), "count_effect")
    call = server.stub.ExecuteTool(request, metadata=setting.caller())
    await eventually(lambda: not is_idle(server))
    call.cancel()
    setting.threads.journal.is_away = False
    await eventually(lambda: is_idle(server))
    outcome = await last_of(server.stub.ExecuteTool(request, metadata=setting.caller()))
    assert "before it began" in outcome.message
    assert not effects_in(setting.effects)


async def test_a_journal_that_is_away_for_a_while_costs_time_only(setting: Setting) -> None:
    server = await setting.server(replace(QUICK, patience=10.0))
    journal = setting.threads.journal
    journal.is_away = True
    request = a_request(setting.agent("gate"), "gate")
    call = server.stub.ExecuteTool(request, metadata=setting.caller())
    await asyncio.sleep(0.3)
    journal.is_away = False
    await within(setting.gate.entered.wait())
    journal.is_away = True
    setting.gate.opened.set()
    await asyncio.sleep(2 * QUICK.lease)  # the lease runs out, but nobody asked for the call meanwhile
    journal.is_away = False
    assert (await last_of(call)).content == "passed"
    assert len(setting.gate.calls) == 1


async def test_a_journal_that_stays_away_is_told_and_nothing_happens(setting: Setting) -> None:
    server = await setting.server(replace(QUICK, patience=0.2))
    setting.threads.journal.is_away = True
    request = a_request(setting.agent("count_effect"), "count_effect")
    error = await failure_of(server.stub.ExecuteTool(request, metadata=setting.caller()))
    assert reason_of(error) == "DATABASE_UNAVAILABLE"
    refused = a_request(setting.agent("count_effect"), "no_such_tool")
    assert reason_of(await failure_of(server.stub.ExecuteTool(refused, metadata=setting.caller()))) == reason_of(error)
    assert not effects_in(setting.effects)


async def test_a_result_is_kept_for_longer_than_a_new_call_would_wait(setting: Setting) -> None:
    server = await setting.server(replace(QUICK, patience=0.2))
    journal = setting.threads.journal
    request = a_request(setting.agent("gate"), "gate")
    call = server.stub.ExecuteTool(request, metadata=setting.caller())
    await within(setting.gate.entered.wait())
    journal.is_away = True
    setting.gate.opened.set()
    await asyncio.sleep(4 * QUICK.lease)
    journal.is_away = False
    assert (await last_of(call)).content == "passed"
    (execution,) = journal.executions.values()
    assert execution.result is not None
    assert execution.result.completed.content == "passed"


async def test_an_outcome_that_could_not_be_journaled_becomes_unknown(setting: Setting) -> None:
    server = await setting.server(replace(QUICK, result_patience=0.2))
    request = a_request(setting.agent("gate"), "gate")
    call = server.stub.ExecuteTool(request, metadata=setting.caller())
    await within(setting.gate.entered.wait())
    setting.threads.journal.is_away = True
    setting.gate.opened.set()
    assert reason_of(await failure_of(call)) == "DATABASE_UNAVAILABLE"
    setting.threads.journal.is_away = False
    outcome = await last_of(server.stub.ExecuteTool(request, metadata=setting.caller()))
    assert outcome.reason == UNKNOWN
    assert len(setting.gate.calls) == 1


async def test_an_attempt_that_lost_its_call_stops_and_tells_what_stands(setting: Setting, server: ToolsServer) -> None:
    request = a_request(setting.agent("gate"), "gate")
    call = server.stub.ExecuteTool(request, metadata=setting.caller())
    await within(setting.gate.entered.wait())
    (execution,) = setting.threads.journal.executions.values()
    failed = tool_service_pb2.Failed(reason=UNKNOWN, message="nobody knows")
    execution.result = journal_pb.ExecutionResult(failed=failed)
    outcome = await last_of(call)
    assert (outcome.reason, outcome.message) == (UNKNOWN, "nobody knows")
    assert setting.gate.was_cancelled


async def test_a_call_outlives_the_callers_token(setting: Setting, server: ToolsServer) -> None:
    dying = TokenSigner(KEY, now=lambda: time.time() - 88)  # good for one to two seconds more
    metadata = [("weft-token", dying.caller_token(TENANT, "ada", SCOPES))]
    request = a_request(setting.agent("gate"), "gate")
    call = server.stub.ExecuteTool(request, metadata=metadata)
    await within(setting.gate.entered.wait())
    await asyncio.sleep(2.2)
    assert reason_of(await failure_of(server.stub.ExecuteTool(request, metadata=metadata))) == "TOKEN_INVALID"
    setting.gate.opened.set()
    assert (await last_of(call)).content == "passed"


async def test_a_stopping_server_lets_calls_end_in_time(setting: Setting, server: ToolsServer) -> None:
    request = a_request(setting.agent("gate"), "gate")
    call = server.stub.ExecuteTool(request, metadata=setting.caller())
    await within(setting.gate.entered.wait())
    closing = asyncio.create_task(server.executor.close(5))
    await asyncio.sleep(0)
    new = a_request(setting.agent("count_effect"), "count_effect")
    assert reason_of(await failure_of(server.stub.ExecuteTool(new, metadata=setting.caller()))) == "SERVER_STOPPING"
    setting.gate.opened.set()
    assert (await last_of(call)).content == "passed"
    await within(closing)


@pytest.mark.parametrize("name", ["gate", "idempotent_gate"])
async def test_a_server_that_stops_leaves_the_truth_in_the_journal(setting: Setting, name: str) -> None:
    first, second = await setting.server(), await setting.server()
    request = a_request(setting.agent(name), name)
    call = first.stub.ExecuteTool(request, metadata=setting.caller())
    await within(setting.gate.entered.wait())
    await within(first.executor.close(0))
    setting.gate.opened.set()
    if name == "gate":
        assert (await last_of(call)).reason == UNKNOWN
        assert (await last_of(second.stub.ExecuteTool(request, metadata=setting.caller()))).reason == UNKNOWN
        assert len(setting.gate.calls) == 1
    else:
        assert reason_of(await failure_of(call)) == "SERVER_STOPPING"
        assert (await last_of(second.stub.ExecuteTool(request, metadata=setting.caller()))).content == "passed"
        assert len(setting.gate.calls) == 2


async def test_who_waits_for_another_process_may_leave(setting: Setting, server: ToolsServer) -> None:
    second = await setting.server()
    request = a_request(setting.agent("gate"), "gate")
    first = server.stub.ExecuteTool(request, metadata=setting.caller())
    await within(setting.gate.entered.wait())
    waiting = second.stub.ExecuteTool(request, metadata=setting.caller())
    await within(waiting.read())
    waiting.cancel()
    await eventually(lambda: is_idle(second))
    setting.gate.opened.set()
    assert (await events_of(first))[-1].completed.content == "passed"
