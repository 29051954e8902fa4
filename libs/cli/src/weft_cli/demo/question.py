"""Documents in, then a question that takes search, reading and a task; a second watcher joins in the middle."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from weft.documents.v1 import document_pb2, document_service_pb2
from weft.projects.v1 import project_service_pb2
from weft.runs.v1.event_pb2 import RunEvent
from weft.tasks.v1 import task_service_pb2
from weft.threads.v1 import message_pb2

from weft_cli.demo.library import Text, mentions
from weft_cli.demo.log import Seen, check_live, check_log, of_kind, text_of
from weft_cli.demo.scene import Stage, said, serialized, state_name
from weft_cli.demo.watcher import Watcher
from weft_cli.view import EventView

WORD = "merge"
TASK = "Review merge"
QUESTION = f'Search the documents for "{WORD}", read the best one, then create a task "{TASK}".'
MODEL = "scripted:tps=150,tag=demo-question"
TOOLS = ("search_documents", "read_document", "create_task")
MOST_INITIATE_MILLISECONDS = 2000.0  # on a busy machine; else a few
LEAST_READ_CHARACTERS = 1000


async def put_documents(stage: Stage, texts: Sequence[Text]) -> str:
    """Return the project that holds them."""
    stage.checks.that(
        "documents.there", any(mentions(item.text, WORD) for item in texts), f"{len(texts)} Markdown files"
    )
    api = stage.api
    request = project_service_pb2.CreateProjectRequest(display_name="This repository")
    project_id = (await api.call(api.projects.CreateProject, request)).project.project_id
    for item in texts:
        document = document_service_pb2.PutDocumentRequest(
            project_id=project_id, title=item.title, content_type=document_pb2.CONTENT_TYPE_MARKDOWN, text=item.text
        )
        await api.call(api.documents.PutDocument, document)
    listing = document_service_pb2.ListDocumentsRequest(project_id=project_id, page_size=1000)
    stored = (await api.call(api.documents.ListDocuments, listing)).documents
    wanted = sorted(item.title for item in texts)
    stage.checks.equal(
        "documents.stored", sorted(item.title for item in stored), wanted, f"all {len(texts)} are listed"
    )
    return project_id


async def ask(stage: Stage, project_id: str, texts: Sequence[Text]) -> str:
    """Return the thread."""
    agent_id = await stage.make_agent("Librarian", MODEL, TOOLS)
    answer, milliseconds = await stage.initiate(QUESTION, agent_id=agent_id, project_id=project_id)
    prefixes = [answer.project_id[:4], answer.thread_id[:4], answer.run_id[:4], answer.message_id[:4]]
    stage.checks.equal(
        "initiate.ids", prefixes, ["prj_", "thr_", "run_", "msg_"], "ids of project, thread, run, message"
    )
    is_fast = milliseconds < MOST_INITIATE_MILLISECONDS
    stage.checks.that("initiate.time", is_fast, f"the ids came in {milliseconds:.1f} ms", milliseconds)
    first, second = await _watch_twice(stage, answer.run_id)
    check_log(stage.checks, first)
    check_live(stage.checks, first)
    _check_second_watcher(stage, first, second)
    await _check_run(stage, answer.run_id, first)
    _check_reading(stage, first, texts, _check_search(stage, first, texts))
    await _check_task(stage, answer.run_id, project_id)
    await _check_answer(stage, answer.thread_id, first)
    return answer.thread_id


async def _watch_twice(stage: Stage, run_id: str) -> tuple[list[Seen], list[Seen]]:
    first, second = Watcher(EventView(stage.printer).show), Watcher()
    async with asyncio.TaskGroup() as group:
        whole = group.create_task(first.watch(stage.api, run_id))
        joined = group.create_task(_join_in_the_middle(stage, run_id, first, second))
    return whole.result(), joined.result()


async def _join_in_the_middle(stage: Stage, run_id: str, first: Watcher, second: Watcher) -> list[Seen]:
    await first.until("tool_completed")
    return await second.watch(stage.edge, run_id, len(first.seen) // 2)


def _check_second_watcher(stage: Stage, first: list[Seen], second: list[Seen]) -> None:
    begin = len(first) - len(second)
    stage.checks.that(
        "resume.middle", 0 < begin < len(first), f"a second watcher, through Envoy, began after seq {begin}"
    )
    stage.printer.line(f"  second watcher: {len(second)} of {len(first)} events", "dim")
    check_log(stage.checks, second, after_seq=begin)
    same = serialized(_events(second)) == serialized(_events(first)[begin:])
    stage.checks.that("resume.same", same, "both watchers saw the same bytes")


async def _check_run(stage: Stage, run_id: str, seen: list[Seen]) -> None:
    run = await stage.run(run_id)
    stage.checks.equal(
        "run.succeeded", (state_name(run), seen[-1].kind), ("SUCCEEDED", "run_succeeded"), "the run succeeded"
    )
    stage.checks.equal("run.head", run.last_seq, seen[-1].event.seq, "the run's last_seq is that of its last event")
    calls = await stage.model.calls(MODEL, ended=run.usage.model_calls)
    stage.checks.equal(
        "run.usage", run.usage.model_calls, len(calls), f"{len(calls)} model calls, as the model counts them"
    )


def _check_search(stage: Stage, seen: list[Seen], texts: Sequence[Text]) -> list[dict[str, Any]]:
    """Return the hits, best first."""
    queries = [arguments.get("query") for arguments in _asked(seen, "search_documents")]
    stage.checks.equal("search.asked", queries, [WORD], f'the model searched for "{WORD}"')
    content = _content_of(seen, "search_documents")
    hits = _json(content).get("hits", [])
    titles = [hit["title"] for hit in hits]
    stage.checks.that("search.finds", bool(hits), f"the search found {', '.join(titles[:3])}", content)
    by_title = {item.title: item.text for item in texts}
    wrong = [title for title in titles if not mentions(by_title.get(title, ""), WORD)]
    stage.checks.equal("search.fits", wrong, [], f'every document found mentions "{WORD}"')
    return list(hits)


def _check_reading(stage: Stage, seen: list[Seen], texts: Sequence[Text], hits: list[dict[str, Any]]) -> None:
    asked = [value for arguments in _asked(seen, "read_document") for value in arguments.values()]
    best = hits[0]
    stage.checks.that(
        "read.best", asked[:1] == [best["document_id"]], f"the model read the best, {best['title']}", asked
    )
    content = _json(_content_of(seen, "read_document")).get("text", "")
    whole = next(item.text for item in texts if item.title == best["title"])
    is_there = len(content) >= min(len(whole), LEAST_READ_CHARACTERS) and content in whole
    stage.checks.that("read.text", is_there, f"it was given {len(content)} of its {len(whole)} characters", content)


async def _check_task(stage: Stage, run_id: str, project_id: str) -> None:
    request = task_service_pb2.ListTasksRequest(project_id=project_id)
    tasks = (await stage.api.call(stage.api.tasks.ListTasks, request)).tasks
    seen = [(task.title, task.run_id) for task in tasks]
    stage.checks.equal("task.made", seen, [(TASK, run_id)], f'the project has one task, "{TASK}", made by this run')


async def _check_answer(stage: Stage, thread_id: str, seen: list[Seen]) -> None:
    messages = await stage.messages(thread_id)
    roles = [message_pb2.Role.Name(message.role).removeprefix("ROLE_") for message in messages]
    wanted = ["USER", *["ASSISTANT", "TOOL"] * len(TOOLS), "ASSISTANT"]
    stage.checks.equal("answer.messages", roles, wanted, "question, three tool rounds and answer are stored in order")
    last = messages[-1]
    streamed = text_of(stage.checks, seen, last.message_id)
    stage.checks.equal("answer.stored", said(last), streamed, "the stored answer is what the deltas said")
    quoted = all(f"{name} returned:" in streamed for name in TOOLS)
    stage.checks.that("answer.quotes", quoted, "the answer quotes what each tool returned", streamed)


def _asked(seen: list[Seen], tool: str) -> list[dict[str, Any]]:
    """Return the arguments of each call of a tool."""
    calls = [event.tool_executing for event in of_kind(seen, "tool_executing")]
    return [_json(call.arguments_json) for call in calls if call.name == tool]


def _content_of(seen: list[Seen], tool: str) -> str:
    results = [event.tool_completed for event in of_kind(seen, "tool_completed")]
    return next((result.content for result in results if result.name == tool), "")


def _json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _events(seen: list[Seen]) -> list[RunEvent]:
    return [item.event for item in seen]
