"""ExecuteTool, as callers and runners see it."""

import asyncio
import json
from typing import cast
from uuid import UUID

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from integration.tools.harness import (
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
from weft.tools.v1 import tool_service_pb2 as pb
from weft_grpckit.status import from_rpc_error, reason_of
from weft_testkit.effect_tools import effects_in


async def test_a_caller_gets_executing_progress_and_a_result_which_a_repeat_gets_again(
    setting: Setting, server: ToolsServer
) -> None:
    request = a_request(setting.agent("count_effect"), "count_effect", '{"seconds": 0.3, "note": "hi"}')
    events = await events_of(server.stub.ExecuteTool(request, metadata=setting.caller()))
    kinds = [event.WhichOneof("event") for event in events]
    assert kinds[0] == "executing"
    assert kinds[-1] == "completed"
    assert kinds.count("progress") >= 2
    done = events[-1].completed
    execution_id = events[0].executing.tool_execution_id
    assert json.loads(done.content) == {"effect": execution_id, "attempt": 1, "note": "hi"}
    assert 0.3 <= done.duration.ToNanoseconds() / 1e9 < 5
    again = await events_of(server.stub.ExecuteTool(request, metadata=setting.caller()))
    assert [event.WhichOneof("event") for event in again] == ["executing", "completed"]
    assert again[-1].completed.content == done.content
    assert effects_in(setting.effects) == {execution_id: 1}


async def test_one_key_of_two_tenants_is_two_calls(setting: Setting, server: ToolsServer) -> None:
    other = UUID(int=8)
    there = setting.threads.world.add_agent(other, ["count_effect"])
    for agent_id, tenant in ((setting.agent("count_effect"), TENANT), (there, other)):
        request = a_request(agent_id, "count_effect", request_id="same")
        await last_of(server.stub.ExecuteTool(request, metadata=setting.caller(tenant=tenant)))
    assert sorted(effects_in(setting.effects).values()) == [1, 1]


async def test_a_hundred_calls_with_one_key_have_one_effect(setting: Setting, server: ToolsServer) -> None:
    second = await setting.server()
    request = a_request(setting.agent("count_effect"), "count_effect", '{"seconds": 0.3}')
    calls = [last_of(each.stub.ExecuteTool(request, metadata=setting.caller()), 20) for each in [server, second] * 50]
    contents = {outcome.content for outcome in await asyncio.gather(*calls)}
    assert len(contents) == 1
    assert sum(effects_in(setting.effects).values()) == 1


async def test_a_run_calls_by_place_and_its_tools_work_in_its_project(setting: Setting, server: ToolsServer) -> None:
    run = setting.run("search_documents", "read_document", "create_task")
    setting.threads.world.add_document(TENANT, "notes", "A lease is renewed each second.")
    calls = [("search_documents", '{"query": "lease"}'), ("read_document", '{"document": "notes"}')]
    results = []
    for index, (name, arguments) in enumerate([*calls, ("create_task", '{"title": "Renew"}')]):
        request = a_place(name, index=index, arguments=arguments)
        outcome = await last_of(server.stub.ExecuteTool(request, metadata=setting.runner(run)))
        results.append(json.loads(outcome.content))
    assert results[0]["hits"][0]["title"] == "notes"
    assert results[1]["text"] == "A lease is renewed each second."
    (task,) = setting.threads.world.tenant(TENANT).tasks
    assert (task.task_id, task.title, task.run_id) == (results[2]["task_id"], "Renew", run.run_id)
    assert task.project_id == run.project_id


async def test_a_document_is_found_by_its_title_in_one_page_however_many_there_are(
    setting: Setting, server: ToolsServer
) -> None:
    for number in range(5):
        setting.threads.world.add_document(TENANT, f"notes {number}", f"text {number}")
    request = a_request(setting.agent("read_document"), "read_document", '{"document": "notes 4"}')
    outcome = await last_of(server.stub.ExecuteTool(request, metadata=setting.caller()))
    assert json.loads(outcome.content)["text"] == "text 4"
    assert setting.threads.documents.lists_asked == 1


async def test_lists_are_paged_for_a_caller_and_for_a_run(setting: Setting, server: ToolsServer) -> None:
    for number in range(3):
        setting.threads.world.add_document(TENANT, f"notes {number}", f"text {number}")
    run = setting.run("list_documents", "list_projects")
    titles, token = [], ""
    for index in range(3):
        arguments = json.dumps({"page_size": 1, "page_token": token})
        request = a_place("list_documents", index=index, arguments=arguments)
        page = json.loads((await last_of(server.stub.ExecuteTool(request, metadata=setting.runner(run)))).content)
        titles += [document["title"] for document in page["documents"]]
        token = page.get("next_page_token", "")
    assert (titles, token) == (["notes 0", "notes 1", "notes 2"], "")
    request = a_request(setting.agent("list_projects"), "list_projects")
    listed = json.loads((await last_of(server.stub.ExecuteTool(request, metadata=setting.caller()))).content)
    assert listed["projects"] == [{"project_id": run.project_id, "name": "Default", "is_current": True}]


async def test_a_tool_that_keeps_state_works_on_what_the_asker_sends_and_repeats_what_it_answered(
    setting: Setting, server: ToolsServer
) -> None:
    run = setting.run("todo")
    write = a_place("todo", arguments='{"operation": "write", "items": [{"text": "prune"}]}')
    written = await last_of(server.stub.ExecuteTool(write, metadata=setting.runner(run)))
    assert json.loads(written.content)["items"] == [{"id": 1, "text": "prune", "status": "pending"}]
    done = a_place("todo", index=1, arguments='{"operation": "update", "updates": [{"id": 1, "status": "completed"}]}')
    done.state = written.content
    changed = await last_of(server.stub.ExecuteTool(done, metadata=setting.runner(run)))
    assert json.loads(changed.content)["counts"]["completed"] == 1
    done.state = ""
    again = await last_of(server.stub.ExecuteTool(done, metadata=setting.runner(run)))
    assert again.content == changed.content, "the state is no part of the key"
    alone = a_request(setting.agent("todo"), "todo", '{"operation": "read"}', state=changed.content)
    read = await last_of(server.stub.ExecuteTool(alone, metadata=setting.caller()))
    assert read.content == changed.content


async def test_a_state_that_is_none_or_too_long_is_refused(setting: Setting, server: ToolsServer) -> None:
    agent = setting.agent("todo", "gate")
    odd = a_request(agent, "todo", '{"operation": "read"}', state="no list")
    outcome = await last_of(server.stub.ExecuteTool(odd, metadata=setting.caller()))
    assert (outcome.reason, "make a new one" in outcome.message) == (event_pb2.TOOL_FAILURE_REASON_FAILED, True)
    long = a_request(agent, "todo", '{"operation": "read"}', state="x" * 65_537)
    error = await failure_of(server.stub.ExecuteTool(long, metadata=setting.caller()))
    assert reason_of(error) == "INVALID_FIELDS"
    setting.gate.opened.set()
    await last_of(server.stub.ExecuteTool(a_request(agent, "gate", state="x"), metadata=setting.caller()))
    assert setting.gate.calls[0].state == "", "a tool that keeps none is given none"


async def test_a_call_may_name_a_project(setting: Setting, server: ToolsServer) -> None:
    tenant = setting.threads.world.tenant(TENANT)
    tenant.projects[project := "prj_01h455vb4pex5vsknk084sn02q"] = "There"
    request = a_request(setting.agent("create_task"), "create_task", '{"title": "There"}', project_id=project)
    await last_of(server.stub.ExecuteTool(request, metadata=setting.caller()))
    assert tenant.tasks[0].project_id == project


@pytest.mark.parametrize(
    ("name", "arguments", "reason", "said"),
    [
        ("raise_error", "{}", "FAILED", "internal error (RuntimeError)"),
        ("raise_error", '{"kind": "tool_error"}', "FAILED", "nothing of that kind"),
        ("raise_error", '{"kind": "exit"}', "FAILED", "end its process"),
        ("never_return", "{}", "TIMED_OUT", "longer than 2 seconds"),
        ("ignore_cancel", '{"seconds": 3}', "TIMED_OUT", "its effect may have happened"),
        ("read_document", '{"document": "doc_01h455vb4pex5vsknk084sn02q"}', "FAILED", "DOCUMENT_NOT_FOUND"),
    ],
)
async def test_a_tool_that_fails_is_an_outcome_not_a_status(
    setting: Setting, server: ToolsServer, name: str, arguments: str, reason: str, said: str
) -> None:
    request = a_request(setting.agent(name), name, arguments)
    outcome = await last_of(server.stub.ExecuteTool(request, metadata=setting.caller()))
    again = await last_of(server.stub.ExecuteTool(request, metadata=setting.caller()))
    assert event_pb2.ToolFailureReason.Name(outcome.reason) == f"TOOL_FAILURE_REASON_{reason}"
    assert said in outcome.message
    assert "secret" not in outcome.message
    assert again == outcome


async def test_huge_output_is_cut(setting: Setting, server: ToolsServer) -> None:
    request = a_request(setting.agent("huge_output"), "huge_output")
    outcome = await last_of(server.stub.ExecuteTool(request, metadata=setting.caller()), 30)
    assert len(outcome.content.encode()) == 64 * 1024
    assert outcome.is_truncated


async def test_a_tool_without_the_callers_right_fails_with_the_scope(setting: Setting, server: ToolsServer) -> None:
    request = a_request(setting.agent("create_task"), "create_task", '{"title": "t"}')
    outcome = await last_of(server.stub.ExecuteTool(request, metadata=setting.caller("tools.execute")))
    assert "SCOPE_MISSING" in outcome.message


@pytest.mark.parametrize(
    ("fields", "reason", "denied"),
    [
        ({"name": "no_such_tool"}, "TOOL_NOT_FOUND", "UNKNOWN_TOOL"),
        ({"name": "raise_error"}, "TOOL_NOT_ALLOWED", "DENIED"),
        ({"arguments_json": '{"x": 1}'}, "TOOL_ARGUMENTS_INVALID", "ARGUMENTS_INVALID"),
        ({"arguments_json": "{"}, "TOOL_ARGUMENTS_INVALID", "ARGUMENTS_INVALID"),
        ({"agent_id": "agt_01h455vb4pex5vsknk084sn02q"}, "AGENT_NOT_FOUND", ""),
        ({"project_id": "prj_01h455vb4pex5vsknk084sn02q"}, "PROJECT_NOT_FOUND", ""),
        ({"agent_id": ""}, "INVALID_FIELDS", ""),
        ({"agent_id": "run_01h455vb4pex5vsknk084sn02q"}, "INVALID_FIELDS", ""),
        ({"run_place": pb.RunPlace(step=1)}, "INVALID_FIELDS", ""),
        ({"name": ""}, "INVALID_FIELDS", ""),
        ({"request_id": ""}, "INVALID_FIELDS", ""),
        ({"request_id": "x" * 129}, "INVALID_FIELDS", ""),
        ({"arguments_json": '"' + "x" * 1_100_000 + '"'}, "INVALID_FIELDS", ""),
    ],
)
async def test_a_wrong_call_is_refused_with_its_reason_and_a_denial_is_recorded(
    setting: Setting, server: ToolsServer, fields: dict[str, object], reason: str, denied: str
) -> None:
    right = {"agent_id": setting.agent("count_effect"), "name": "count_effect", "request_id": "r"}
    request = pb.ExecuteToolRequest(**right | fields)  # type: ignore[arg-type]
    error = await failure_of(server.stub.ExecuteTool(request, metadata=setting.caller()))
    assert reason_of(error) == reason
    assert [denial.reason for denial in setting.threads.journal.denials] == ([denied] if denied else [])
    assert not setting.threads.journal.executions


async def test_invalid_arguments_name_their_places(setting: Setting, server: ToolsServer) -> None:
    request = a_request(setting.agent("search_documents"), "search_documents", '{"query": 1, "max_hits": 0}')
    error = await failure_of(server.stub.ExecuteTool(request, metadata=setting.caller()))
    bad = error_details_pb2.BadRequest()
    status = rpc_status.from_call(cast(grpc.Call, error))
    assert status is not None
    assert any(detail.Unpack(bad) for detail in status.details)
    assert {violation.field for violation in bad.field_violations} == {"arguments.query", "arguments.max_hits"}


@pytest.mark.parametrize("change", ["arguments", "tool"])
async def test_a_key_used_again_for_something_else_is_refused(
    setting: Setting, server: ToolsServer, change: str
) -> None:
    agent_id = setting.agent("count_effect", "raise_error")
    first = a_request(agent_id, "count_effect", '{"note": "a", "seconds": 0}')
    await last_of(server.stub.ExecuteTool(first, metadata=setting.caller()))
    same = a_request(agent_id, "count_effect", '{ "seconds":0, "note":"a" }', request_id=first.request_id)
    await last_of(server.stub.ExecuteTool(same, metadata=setting.caller()))
    other = ("count_effect", '{"note": "b", "seconds": 0}') if change == "arguments" else ("raise_error", "{}")
    again = a_request(agent_id, *other, request_id=first.request_id)
    assert reason_of(await failure_of(server.stub.ExecuteTool(again, metadata=setting.caller()))) == "REQUEST_ID_REUSED"


@pytest.mark.parametrize(
    "fields",
    [
        {"agent_id": "agt_01h455vb4pex5vsknk084sn02q"},
        {"project_id": "prj_01h455vb4pex5vsknk084sn02q"},
        {"request_id": "r"},
        {"run_place": pb.RunPlace(step=0)},
    ],
)
async def test_a_runs_call_that_does_not_fit_its_token_is_refused(
    setting: Setting, server: ToolsServer, fields: dict[str, object]
) -> None:
    right: dict[str, object] = {"name": "count_effect"}
    if "request_id" not in fields:
        right["run_place"] = pb.RunPlace(step=1)
    request = pb.ExecuteToolRequest(**right | fields)  # type: ignore[arg-type]
    error = await failure_of(server.stub.ExecuteTool(request, metadata=setting.runner(setting.run("count_effect"))))
    assert reason_of(error) == "INVALID_FIELDS"


async def test_a_runner_that_lost_its_run_has_no_effect(setting: Setting, server: ToolsServer) -> None:
    run = setting.run("count_effect")
    stale = setting.runner(run)
    run.epoch = 2
    error = await failure_of(server.stub.ExecuteTool(a_place("count_effect"), metadata=stale))
    assert reason_of(error) == "EPOCH_STALE"
    wrong = await failure_of(server.stub.ExecuteTool(a_place("no_such_tool"), metadata=stale))
    assert reason_of(wrong) == "EPOCH_STALE"
    assert not effects_in(setting.effects)
    assert not setting.threads.journal.denials


async def test_a_run_of_another_tenant_does_not_exist(setting: Setting, server: ToolsServer) -> None:
    run = setting.run("count_effect")
    del setting.threads.world.tenant(TENANT).runs[run.run_id]
    error = await failure_of(server.stub.ExecuteTool(a_place("count_effect"), metadata=setting.runner(run)))
    assert reason_of(error) == "RUN_NOT_FOUND"


async def test_rights_are_decided_when_the_call_is_executed(setting: Setting, server: ToolsServer) -> None:
    run = setting.run("count_effect")
    await last_of(server.stub.ExecuteTool(a_place("count_effect"), metadata=setting.runner(run)))
    setting.threads.world.tenant(TENANT).agents[run.agent_id] = frozenset()
    request = a_place("count_effect", index=1)
    error = await failure_of(server.stub.ExecuteTool(request, metadata=setting.runner(run)))
    told = from_rpc_error(error)
    assert told is not None
    assert (told.reason, told.metadata) == ("TOOL_NOT_ALLOWED", {"tool": "count_effect"})
    assert sum(effects_in(setting.effects).values()) == 1


async def test_tokens_open_only_what_their_scopes_say(setting: Setting, server: ToolsServer) -> None:
    request = a_request(setting.agent("count_effect"), "count_effect")
    for metadata, reason in (
        (setting.caller("tools.read"), "SCOPE_MISSING"),
        ([], "TOKEN_INVALID"),
        ([("weft-token", "forged")], "TOKEN_INVALID"),
        ([("weft-token", setting.signer.service_token("agent-runner"))], "TOKEN_INVALID"),
    ):
        assert reason_of(await failure_of(server.stub.ExecuteTool(request, metadata=metadata))) == reason


async def test_progress_of_a_slow_watcher_is_bounded_and_the_outcome_still_comes(
    setting: Setting, server: ToolsServer
) -> None:
    request = a_request(setting.agent("gate"), "gate")
    call = server.stub.ExecuteTool(request, metadata=setting.caller())
    await within(setting.gate.entered.wait())
    context = setting.gate.calls[0]
    for number in range(1000):
        context.report(f"step {number}", number / 100 - 1)
    context.report("nobody knows", float("nan"))
    setting.gate.opened.set()
    events = await events_of(call)
    fractions = [event.progress.fraction for event in events if event.WhichOneof("event") == "progress"]
    assert 100 <= len(fractions) <= 110
    assert all(0 <= fraction <= 1 for fraction in fractions)
    assert events[-1].completed.content == "passed"


async def test_a_long_call_keeps_its_lease_and_no_second_server_begins_it(
    setting: Setting, server: ToolsServer
) -> None:
    second = await setting.server()
    request = a_request(setting.agent("idempotent_gate"), "idempotent_gate")
    first = server.stub.ExecuteTool(request, metadata=setting.caller())
    await within(setting.gate.entered.wait())
    waiting = asyncio.create_task(last_of(second.stub.ExecuteTool(request, metadata=setting.caller())))
    (execution,) = setting.threads.journal.executions.values()
    await eventually(lambda: execution.renewals >= 8)  # twice the lease
    setting.gate.opened.set()
    assert (await last_of(first)).content == (await waiting).content == "passed"
    assert len(setting.gate.calls) == 1
