"""The commands of every noun on a real stack: what people read, and the JSON that scripts do."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from google.protobuf import json_format
from google.protobuf.message import Message
from public_api import ALL_SCOPES, Api, new_tenant
from typer.testing import CliRunner, Result
from weft.agents.v1 import agent_pb2, agent_service_pb2
from weft.documents.v1 import document_pb2, document_service_pb2
from weft.projects.v1 import project_pb2, project_service_pb2
from weft.runs.v1 import event_pb2, run_pb2, run_service_pb2
from weft.threads.v1 import thread_pb2, thread_service_pb2
from weft.tools.v1 import tool_pb2, tool_service_pb2
from weft.usage.v1 import usage_service_pb2
from weft_cli.app import app
from weft_cli.stack import Stack

M = TypeVar("M", bound=Message)


class Weft:
    """The command, with the key of a tenant of its own."""

    def __init__(self, address: str, key: str) -> None:
        self.key = key
        self._env = {"WEFT_ADDRESS": address, "WEFT_API_KEY": key, "COLUMNS": "200"}

    def run(self, *words: str, code: int = 0, stdin: str | None = None) -> Result:
        ended = CliRunner().invoke(app, words, env=self._env, input=stdin, catch_exceptions=False)
        assert ended.exit_code == code, ended.output
        return ended

    def text(self, *words: str, code: int = 0, stdin: str | None = None) -> str:
        return self.run(*words, code=code, stdin=stdin).stdout

    def json(self, kind: type[M], *words: str, code: int = 0) -> M:
        """Return what a command prints with --json: one document, which is the JSON of a message of this kind."""
        return json_format.ParseDict(json.loads(self.text(*words, "--json", code=code)), kind())

    def told(self, *words: str, code: int) -> str:
        """Return the one line that a command which failed wrote to standard error."""
        ended = self.run(*words, code=code)
        assert ended.stdout == ""
        (line,) = ended.stderr.splitlines()
        return line


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    prices = {"WEFT_MODEL_PRICES": json.dumps({"scripted:tag=priced": {"input": 2, "output": 6}})}
    with Stack(env={"agent-runner": prices}) as running:
        yield running


@pytest.fixture(scope="module")
def make_weft(stack: Stack) -> Callable[..., Weft]:
    async def key_of(scopes: list[str]) -> str:
        async with new_tenant([stack.address("gateway")], stack.operator_key, scopes=scopes) as api:
            return api.key

    return lambda scopes=ALL_SCOPES: Weft(stack.address("gateway"), asyncio.run(key_of(scopes)))


@pytest.fixture
def weft(make_weft: Callable[..., Weft]) -> Weft:
    return make_weft()


def said(weft: Weft, text: str, *options: str) -> run_pb2.Run:
    """Say something, and return the run once it has ended."""
    first = json.loads(weft.text("chat", text, *options, "--json").splitlines()[0])
    return weft.json(run_pb2.Run, "runs", "get", first["runId"])


@pytest.mark.row("B2")
def test_threads_are_listed_changed_put_aside_and_deleted(weft: Weft) -> None:
    run = said(weft, "How do I warp a loom?")
    listed = weft.json(thread_service_pb2.ListThreadsResponse, "threads", "list").threads
    assert [(thread.thread_id, thread.agent_state) for thread in listed] == [
        (run.thread_id, thread_pb2.THREAD_AGENT_STATE_IDLE)
    ]
    change = ("threads", "update", run.thread_id, "--title", "Looms", "--set", "customer=42", "--set", "tag=x")
    changed = weft.json(thread_pb2.Thread, *change)
    assert (changed.title, dict(changed.metadata)) == ("Looms", {"customer": "42", "tag": "x"})
    unset = weft.json(thread_pb2.Thread, "threads", "update", run.thread_id, "--unset", "tag")
    assert dict(unset.metadata) == {"customer": "42"}
    assert "Looms" in weft.text("threads", "list", "--metadata", "customer=42")
    assert weft.text("threads", "list", "--metadata", "customer=43") == "no threads\n"

    assert "archived" in weft.text("threads", "archive", run.thread_id)
    assert run.thread_id in weft.text("threads", "list", "--archived")
    assert weft.text("threads", "list", "--active") == "no threads\n"
    weft.text("threads", "archive", run.thread_id, "--undo")
    assert "Looms" in weft.text("threads", "get", run.thread_id)

    assert "add --yes" in weft.told("threads", "delete", run.thread_id, code=2)
    assert weft.text("threads", "delete", run.thread_id, "--yes") == f"deleted: {run.thread_id}\n"
    told = weft.told("threads", "get", run.thread_id, code=1)
    assert told.endswith("[THREAD_NOT_FOUND]; try: weft threads list")


def test_messages_of_a_thread_are_read_from_either_end(weft: Weft) -> None:
    run = said(weft, "Hello there")
    kind = thread_service_pb2.ListMessagesResponse
    messages = weft.json(kind, "threads", "messages", run.thread_id).messages
    assert [message.parts[0].text for message in messages] == ["Hello there", 'You said: "Hello there"']
    newest = weft.json(kind, "threads", "messages", run.thread_id, "--newest-first", "--limit", "1").messages
    assert [message.message_id for message in newest] == [messages[1].message_id]
    text = weft.text("threads", "messages", run.thread_id)
    assert text.index("1.0   user") < text.index("1.1   assistant") < text.index("You said:")


def test_a_list_has_every_page_or_as_many_as_are_asked_for(weft: Weft) -> None:
    kind = project_service_pb2.ListProjectsResponse
    for n in range(3):
        assert weft.json(project_pb2.Project, "projects", "create", f"project {n}").display_name == f"project {n}"
    assert len(weft.json(kind, "projects", "list").projects) == 4, "the default one too"
    assert len(weft.json(kind, "projects", "list", "--limit", "2").projects) == 2
    assert weft.text("projects", "list", "--limit", "2").count("prj_") == 2


def test_runs_are_listed_waited_for_and_stopped(weft: Weft) -> None:
    done = said(weft, "quick")
    thread = done.thread_id
    assert weft.json(run_pb2.Run, "runs", "wait", done.run_id).state == run_pb2.RUN_STATE_SUCCEEDED
    listed = weft.json(run_service_pb2.ListRunsResponse, "runs", "list", "--thread", thread).runs
    assert [run.run_id for run in listed] == [done.run_id]
    assert weft.text("runs", "list", "--state", "running", "--state", "timed-out") == "no runs\n"
    row = weft.text("runs", "list")
    assert all(word in row for word in ("RUN", "succeeded", done.run_id, thread))
    assert re.search(r"model calls +1$", weft.text("runs", "get", done.run_id), re.MULTILINE)
    cancelled = weft.json(run_pb2.Run, "runs", "cancel", done.run_id, "--wait")
    assert cancelled.state == run_pb2.RUN_STATE_SUCCEEDED
    events = [
        json_format.Parse(line, event_pb2.RunEvent())
        for line in weft.text("events", done.run_id, "--json").splitlines()
    ]
    assert [event.seq for event in events] == list(range(1, done.last_seq + 1))
    tombstone = weft.json(run_service_pb2.CancelRunResponse, "runs", "cancel", "--request", "not-yet")
    assert tombstone.is_tombstone
    assert "either a run or --request" in weft.told("runs", "cancel", code=2)


def test_a_run_that_goes_on_is_not_ended_in_time_and_then_stopped(weft: Weft, stack: Stack) -> None:
    slow = weft.json(agent_pb2.Agent, "agents", "create", "Slow", "--model", "scripted:tps=1,count=500").agent_id
    run_id = asyncio.run(_initiate(stack, weft, slow))
    going_on = weft.json(run_pb2.Run, "runs", "wait", run_id, "--timeout", "0.2", code=3)
    assert not going_on.HasField("end_time")
    told = weft.told("agents", "delete", slow, "--yes", code=1)
    assert told.endswith("[AGENT_IN_USE]; try: weft runs list --agent, or --force")
    assert "cancelled" in weft.text("cancel", run_id, "--wait")
    assert weft.json(run_pb2.Run, "runs", "wait", run_id, code=1).state == run_pb2.RUN_STATE_CANCELLED
    weft.json(agent_service_pb2.DeleteAgentResponse, "agents", "delete", slow, "--yes")


async def _initiate(stack: Stack, weft: Weft, agent_id: str) -> str:
    api = Api([stack.address("gateway")], weft.key)
    try:
        return str((await api.initiate("talk", agent_id=agent_id)).run_id)
    finally:
        await api.close()


def test_agents_are_made_from_options_and_files_and_changed(weft: Weft, tmp_path: Path) -> None:
    spec = tmp_path / "spec.json"
    spec.write_text('{"taskInstructions": "Prune.", "limits": {"maxModelCalls": 3}}')
    options = ("--tool", "create_task", "--instructions", "Be brief.", "--temperature", "0.5", "--strategy", "merge")
    made = weft.json(agent_pb2.Agent, "agents", "create", "Gardener", "--spec", str(spec), *options)
    assert (made.spec.task_instructions, made.spec.limits.max_model_calls) == ("Prune.", 3)
    assert (list(made.spec.tools), made.spec.system_instructions) == (["create_task"], "Be brief.")
    assert made.spec.model_parameters.temperature == 0.5

    change = ("agents", "update", made.agent_id, "--name", "Head", "--no-tools", "--model", "m")
    changed = weft.json(agent_pb2.Agent, *change)
    assert (changed.display_name, list(changed.spec.tools), changed.spec.model) == ("Head", [], "m")
    assert changed.spec.task_instructions == "Prune.", "what is not named stays"
    assert changed.version_number == 2
    assert weft.json(agent_pb2.Agent, "agents", "get", made.agent_id) == changed
    agents = weft.json(agent_service_pb2.ListAgentsResponse, "agents", "list").agents
    assert changed in agents
    assert "nothing to change" in weft.told("agents", "update", made.agent_id, code=2)
    spec.write_text('{"noSuchField": 1}')
    assert "is no AgentSpec" in weft.told("agents", "create", "x", "--spec", str(spec), code=2)


def test_tools_are_listed_and_called(weft: Weft) -> None:
    tools = weft.json(tool_service_pb2.ListToolsResponse, "tools", "list").tools
    assert "create_task" in {tool.name for tool in tools}
    assert weft.json(tool_pb2.Tool, "tools", "get", "create_task").parameters_json
    assert '"title"' in weft.text("tools", "get", "create_task")
    agent = weft.json(agent_pb2.Agent, "agents", "create", "Gardener", "--tool", "create_task").agent_id
    call = ("tools", "run", "create_task", '{"title": "Prune the roses"}', "--agent", agent, "--request", "r1")
    done = weft.json(tool_service_pb2.ExecuteToolResponse, *call)
    assert weft.text(*call).strip() == done.completed.content.strip(), "the same id gives the same result"
    assert "Prune" in weft.text("tools", "run", "create_task", "-", "--agent", agent, stdin='{"title": "Prune"}')
    assert "TOOL_ARGUMENTS_INVALID" in weft.told("tools", "run", "create_task", "{}", "--agent", agent, code=1)
    assert "TOOL_NOT_ALLOWED" in weft.told("tools", "run", "list_projects", "{}", "--agent", agent, code=1)
    assert "try: weft tools list" in weft.told("tools", "get", "no_such_tool", code=1)
    assert "--agent is needed" in weft.told("tools", "run", "create_task", code=2)


def test_documents_are_put_found_read_and_deleted(weft: Weft, tmp_path: Path) -> None:
    roses, oaks = tmp_path / "roses.md", tmp_path / "oaks.txt"
    roses.write_text("Roses are pruned in March.\n")
    oaks.write_text("Oaks are left alone.")
    kind = document_service_pb2.ListDocumentsResponse
    put = weft.json(kind, "documents", "put", str(roses), str(oaks)).documents
    assert [document.title for document in put] == [str(roses), str(oaks)]
    assert put[0].content_type == document_pb2.CONTENT_TYPE_MARKDOWN
    assert weft.text("documents", "get", put[0].document_id, "--text") == roses.read_text()
    assert weft.json(document_service_pb2.ReadDocumentResponse, "documents", "get", put[0].document_id, "--text").text
    assert weft.json(document_pb2.Document, "documents", "get", put[0].document_id) == put[0]

    again = ("documents", "put", "-", "--title", str(roses))
    assert put[0].document_id in weft.text(*again, stdin="Roses are pruned in April."), "it is replaced"
    hits = weft.json(document_service_pb2.SearchDocumentsResponse, "documents", "search", "pruned roses").hits
    assert [hit.document.document_id for hit in hits] == [put[0].document_id]
    assert "April" in weft.text("documents", "search", "pruned")
    assert len(weft.json(kind, "documents", "list").documents) == 2
    deleted = weft.json(document_service_pb2.DeleteDocumentResponse, "documents", "delete", put[0].document_id, "--yes")
    assert deleted == document_service_pb2.DeleteDocumentResponse()
    assert "cannot be read" in weft.told("documents", "put", str(tmp_path / "none"), code=2)
    weft.text("projects", "create", "Another")
    assert "say --project" in weft.told("documents", "search", "x", code=2)


@pytest.mark.row("E2")
def test_usage_is_shown_by_what_is_asked_for(weft: Weft) -> None:
    options = ("--model", "scripted:tag=priced", "--tool", "create_task")
    agent = weft.json(agent_pb2.Agent, "agents", "create", "Priced", *options).agent_id
    runs = [said(weft, "hello", "--agent", agent), said(weft, 'Create a task "Sweep".', "--agent", agent)]
    kind = usage_service_pb2.QueryUsageResponse
    (everything,) = weft.json(kind, "usage").rows
    assert everything.cost_micros == sum(run.usage.cost_micros for run in runs) > 0
    (row,) = weft.json(kind, "usage", "--since", "24h", "--by", "model", "--by", "day", "--by", "agent").rows
    assert (row.model, row.agent_id, row.model_calls) == ("scripted:tag=priced", agent, 3)
    assert weft.json(kind, "usage", "--model", "other", "--by", "model").rows == []
    text = weft.text("usage", "--by", "model")
    assert "scripted:tag=priced" in text
    assert "$0.0" in text
    (tool,) = weft.json(usage_service_pb2.QueryToolUsageResponse, "usage", "--tools").rows
    assert (tool.tool, tool.outcome, tool.tool_calls) == ("create_task", usage_service_pb2.TOOL_OUTCOME_SUCCEEDED, 1)
    assert "is no time" in weft.told("usage", "--since", "lately", code=2)
    assert "--tools goes with" in weft.told("usage", "--tools", "--by", "model", code=2)


@pytest.mark.row("A4")
def test_errors_are_one_line_that_says_what_to_do(weft: Weft, make_weft: Callable[..., Weft], stack: Stack) -> None:
    reader = make_weft(["threads.read"])
    assert "[SCOPE_MISSING]" in reader.told("runs", "list", code=1)
    assert "thread_id" in weft.told("threads", "get", "nonsense", code=1)
    wrong: Any = Weft(stack.address("gateway"), "weft_wrong")
    assert wrong.told("threads", "list", code=1).endswith("; try: --api-key, or WEFT_API_KEY")
    nowhere = Weft("127.0.0.1:1", "weft_x")
    assert nowhere.told("threads", "list", code=1).endswith("is a stack up at 127.0.0.1:1? start one: weft up")


def test_a_reader_that_has_enough_is_no_error_to_be_told(weft: Weft, stack: Stack) -> None:
    done = said(weft, "x" * 200_000)
    command = f"{sys.executable} -m weft_cli events {done.run_id} | head -n 1"
    env = {**os.environ, "WEFT_ADDRESS": stack.address("gateway"), "WEFT_API_KEY": weft.key}
    ended = subprocess.run(["bash", "-c", command], env=env, capture_output=True, text=True, check=True, timeout=60)
    assert "run.queued" in ended.stdout
    assert ended.stderr == ""
