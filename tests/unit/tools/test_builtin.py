"""The built-in tools, on resources in memory."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from weft_core.errors import NotFoundError
from weft_tools.builtin import BUILT_IN
from weft_tools.domain.outcome import completed
from weft_tools.domain.registry import Registry
from weft_tools.domain.resources import (
    DocumentPage,
    ListedDocument,
    Passage,
    Project,
    ProjectPage,
    SearchHit,
    Task,
)
from weft_tools.domain.tool import ToolContext, ToolError
from weft_tools.schema import compile_schema

DOCUMENT = "doc_01h455vb4pex5vsknk084sn02q"
PROJECT = "prj_01h455vb4pex5vsknk084sn02q"
REGISTRY = Registry(BUILT_IN, compile_schema)


@dataclass
class DocumentsInMemory:
    text: str = ""
    title: str = "notes"
    asked: list[tuple[Any, ...]] = field(default_factory=list)

    async def search(self, project_id: str, query: str, max_hits: int) -> Sequence[SearchHit]:
        self.asked.append((project_id, query, max_hits))
        return [SearchHit(DOCUMENT, self.title, 3, "a snippet", 0.123456)] if query in self.text else []

    async def read(self, document_id: str, offset: int, length: int) -> Passage:
        if document_id != DOCUMENT:
            raise NotFoundError("DOCUMENT_NOT_FOUND", "there is no such document")
        end = offset + length
        rest = end if end < len(self.text) else 0
        return Passage(document_id, self.title, self.text[offset:end], offset, rest, len(self.text))

    async def find_by_title(self, project_id: str, title: str) -> str | None:
        return DOCUMENT if title == self.title else None

    async def list_page(self, project_id: str, page_size: int, page_token: str) -> DocumentPage:
        self.asked.append((project_id, page_size, page_token))
        return DocumentPage([ListedDocument(DOCUMENT, self.title, 7, "2026-01-02T03:04:05Z")] * page_size, "next")


@dataclass
class ProjectsInMemory:
    names: Sequence[str] = ()
    next_page_token: str = ""
    asked: list[tuple[Any, ...]] = field(default_factory=list)

    async def list_page(self, page_size: int, page_token: str) -> ProjectPage:
        self.asked.append((page_size, page_token))
        return ProjectPage([Project(f"prj_{n}", name) for n, name in enumerate(self.names)], self.next_page_token)


@dataclass
class TasksInMemory:
    made: dict[str, Task] = field(default_factory=dict)

    async def create(self, project_id: str, title: str, description: str, key: str) -> Task:
        return self.made.setdefault(key, Task(f"tsk_{len(self.made)}", title, "open"))


def a_context(
    documents: DocumentsInMemory | None = None,
    tasks: TasksInMemory | None = None,
    projects: ProjectsInMemory | None = None,
) -> ToolContext:
    return ToolContext(
        execution_id="tlx_1",
        attempt=1,
        project_id="prj_1",
        agent_id="agt_1",
        thread_id="",
        run_id="",
        documents=documents or DocumentsInMemory(),
        projects=projects or ProjectsInMemory(),
        tasks=tasks or TasksInMemory(),
        report=lambda message, fraction: None,
    )


async def called(name: str, context: ToolContext, **arguments: Any) -> Any:
    registered = REGISTRY.get(name)
    assert list(registered.check(arguments)) == []
    result = await registered.tool.handler(arguments, context)
    return json.loads(json.dumps(result))


async def test_a_search_gives_ids_offsets_and_snippets_of_the_project() -> None:
    documents = DocumentsInMemory("about leases")
    found = await called("search_documents", a_context(documents), query="leases")
    assert found == {
        "hits": [{"document_id": DOCUMENT, "title": "notes", "offset": 3, "snippet": "a snippet", "score": 0.1235}]
    }
    assert documents.asked == [("prj_1", "leases", 5)]


async def test_a_search_without_hits_says_what_to_do() -> None:
    found = await called("search_documents", a_context(), query="nothing", max_hits=50)
    assert found["hits"] == []
    assert "other words" in found["note"]


@pytest.mark.parametrize("document", [DOCUMENT, "notes"])
async def test_a_document_is_read_by_id_and_by_title_passage_by_passage(document: str) -> None:
    context = a_context(DocumentsInMemory("0123456789"))
    first = await called("read_document", context, document=document, length=6)
    rest = await called("read_document", context, document=document, offset=first["next_offset"], length=6)
    assert (first["text"], first["next_offset"], first["document_length"]) == ("012345", 6, 10)
    assert (rest["text"], rest.get("next_offset")) == ("6789", None)


async def test_an_unknown_title_tells_the_model_to_search() -> None:
    with pytest.raises(ToolError, match="search_documents"):
        await called("read_document", a_context(), document="no such title")


async def test_a_task_is_made_once_for_each_call() -> None:
    tasks = TasksInMemory()
    context = a_context(tasks=tasks)
    first = await called("create_task", context, title="Call Ada", description="soon")
    again = await called("create_task", context, title="Call Ada", description="soon")
    other = await called("create_task", replace(context, execution_id="tlx_2"), title="Call Ada")
    assert first == again == {"task_id": "tsk_0", "title": "Call Ada", "state": "open"}
    assert other["task_id"] == "tsk_1"


async def test_projects_are_listed_with_the_current_one_marked_and_a_token_only_where_more_follow() -> None:
    projects = ProjectsInMemory(["Garden", "House"])
    listed = await called("list_projects", a_context(projects=projects))
    assert listed == {
        "projects": [
            {"project_id": "prj_0", "name": "Garden", "is_current": False},
            {"project_id": "prj_1", "name": "House", "is_current": True},
        ]
    }
    projects.next_page_token = "more"
    assert (await called("list_projects", a_context(projects=projects), page_size=2))["next_page_token"] == "more"
    await called("list_projects", a_context(projects=projects), page_size=2, page_token="more")
    assert projects.asked == [(20, ""), (2, ""), (2, "more")]


async def test_documents_are_listed_of_the_current_project_or_of_another() -> None:
    documents = DocumentsInMemory()
    listed = await called("list_documents", a_context(documents), page_size=1)
    shown = {"document_id": DOCUMENT, "title": "notes", "size_bytes": 7, "update_time": "2026-01-02T03:04:05Z"}
    assert listed == {"project_id": "prj_1", "documents": [shown], "next_page_token": "next"}
    await called("list_documents", a_context(documents), project_id=PROJECT, page_token="next")
    assert documents.asked == [("prj_1", 1, ""), (PROJECT, 20, "next")]


@pytest.mark.parametrize("character", ["\U0001f33f", '"', "\x01", "\\", "\u2028"])
async def test_the_longest_page_of_the_longest_names_is_not_cut(character: str) -> None:
    documents = DocumentsInMemory(title=character * 500)
    context = a_context(documents, projects=ProjectsInMemory([character * 200] * 50, "t" * 200))
    for name in ("list_documents", "list_projects"):
        outcome = completed(await called(name, context, page_size=50), 0.0)
        assert not outcome.is_truncated
        assert json.loads(outcome.content)["next_page_token"]


async def test_a_description_above_64_kib_is_refused() -> None:
    with pytest.raises(ToolError, match="64 KiB"):
        await called("create_task", a_context(), title="t", description="é" * 40_000)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("search_documents", {}),
        ("search_documents", {"query": ""}),
        ("search_documents", {"query": "x" * 1001}),
        ("search_documents", {"query": "x", "max_hits": 51}),
        ("read_document", {}),
        ("read_document", {"document": "x", "offset": -1}),
        ("read_document", {"document": "x", "length": 15_001}),
        ("list_projects", {"page_size": 0}),
        ("list_projects", {"page_size": 51}),
        ("list_documents", {"page_token": "x" * 2049}),
        ("list_documents", {"project_id": "Garden"}),
        ("create_task", {"title": ""}),
        ("create_task", {"title": "x" * 501}),
        ("create_task", {"title": "x", "no_such_argument": True}),
    ],
)
def test_arguments_that_do_not_fit_are_found(name: str, arguments: dict[str, Any]) -> None:
    assert REGISTRY.get(name).check(arguments)


def test_all_built_in_tools_can_be_repeated() -> None:
    assert all(tool.is_idempotent for tool in BUILT_IN)
