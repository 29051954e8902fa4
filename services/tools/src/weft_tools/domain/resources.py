"""What tools work on, with the rights of whoever asked for the call."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SearchHit:
    document_id: str
    title: str
    offset: int
    snippet: str
    score: float


@dataclass(frozen=True, slots=True)
class Passage:
    """A range of a document's text; offsets and lengths in code points, `next_offset` 0 at the end."""

    document_id: str
    title: str
    text: str
    offset: int
    next_offset: int
    document_length: int


@dataclass(frozen=True, slots=True)
class ListedDocument:
    """`update_time` as RFC 3339, to the second."""

    document_id: str
    title: str
    size_bytes: int
    update_time: str


@dataclass(frozen=True, slots=True)
class DocumentPage:
    """`next_page_token` is empty after the last page."""

    documents: Sequence[ListedDocument]
    next_page_token: str


@dataclass(frozen=True, slots=True)
class Project:
    project_id: str
    display_name: str


@dataclass(frozen=True, slots=True)
class ProjectPage:
    """`next_page_token` is empty after the last page."""

    projects: Sequence[Project]
    next_page_token: str


@dataclass(frozen=True, slots=True)
class Task:
    task_id: str
    title: str
    state: str


class Documents(Protocol):
    async def search(self, project_id: str, query: str, max_hits: int) -> Sequence[SearchHit]:
        """Return the places that fit best, best first."""
        ...

    async def read(self, document_id: str, offset: int, length: int) -> Passage:
        """Raises: NotFoundError DOCUMENT_NOT_FOUND."""
        ...

    async def find_by_title(self, project_id: str, title: str) -> str | None:
        """Return the id of the project's document of exactly this title."""
        ...

    async def list_page(self, project_id: str, page_size: int, page_token: str) -> DocumentPage:
        """Return a page of the project's documents, newest first.

        Raises: NotFoundError PROJECT_NOT_FOUND, InvalidArgumentError where the token is none of this list's.
        """
        ...


class Projects(Protocol):
    async def list_page(self, page_size: int, page_token: str) -> ProjectPage:
        """Return a page of the tenant's projects, newest first.

        Raises: InvalidArgumentError where the token is none of this list's.
        """
        ...


class Tasks(Protocol):
    async def create(self, project_id: str, title: str, description: str, key: str) -> Task:
        """Make a task, or return the one that the same key made."""
        ...


class Runs(Protocol):
    async def is_wanted(self, run_id: str) -> bool:
        """Tell whether a run goes on: it runs, and nobody asked it to stop."""
        ...
