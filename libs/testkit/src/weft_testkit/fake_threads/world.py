"""The agents, runs, documents and tasks that fakes know of, each under its tenant."""

from dataclasses import dataclass, field
from typing import TypeVar
from uuid import UUID, uuid4

from weft_core.caller import Caller
from weft_core.errors import NotFoundError
from weft_core.ids import format_id

Known = TypeVar("Known")


def new_id(prefix: str) -> str:
    return format_id(prefix, uuid4())


@dataclass(slots=True)
class FakeRun:
    run_id: str
    agent_id: str
    project_id: str
    thread_id: str
    epoch: int = 1
    is_running: bool = True
    is_stop_requested: bool = False


@dataclass(slots=True)
class FakeDocument:
    document_id: str
    project_id: str
    title: str
    text: str


@dataclass(slots=True)
class FakeTask:
    task_id: str
    project_id: str
    title: str
    description: str
    request_id: str
    run_id: str


@dataclass(slots=True)
class FakeTenant:
    default_project_id: str = field(default_factory=lambda: new_id("prj"))
    projects: dict[str, str] = field(default_factory=dict)
    """The name of each project."""
    agents: dict[str, frozenset[str]] = field(default_factory=dict)
    """The tools of each agent."""
    runs: dict[str, FakeRun] = field(default_factory=dict)
    documents: dict[str, FakeDocument] = field(default_factory=dict)
    tasks: list[FakeTask] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.projects[self.default_project_id] = "Default"


class FakeWorld:
    def __init__(self) -> None:
        self._tenants: dict[UUID, FakeTenant] = {}

    def tenant(self, tenant_id: UUID) -> FakeTenant:
        return self._tenants.setdefault(tenant_id, FakeTenant())

    def of(self, caller: Caller) -> FakeTenant:
        return self.tenant(caller.tenant_id)

    def add_agent(self, tenant_id: UUID, tools: list[str]) -> str:
        agent_id = new_id("agt")
        self.tenant(tenant_id).agents[agent_id] = frozenset(tools)
        return agent_id

    def add_run(self, tenant_id: UUID, agent_id: str) -> FakeRun:
        tenant = self.tenant(tenant_id)
        run = FakeRun(new_id("run"), agent_id, tenant.default_project_id, new_id("thr"))
        tenant.runs[run.run_id] = run
        return run

    def add_document(self, tenant_id: UUID, title: str, text: str) -> FakeDocument:
        tenant = self.tenant(tenant_id)
        document = FakeDocument(new_id("doc"), tenant.default_project_id, title, text)
        tenant.documents[document.document_id] = document
        return document


def found(known: dict[str, Known], key: str, noun: str) -> Known:
    """Raises: NotFoundError, as for what another tenant has."""
    if key not in known:
        raise NotFoundError(f"{noun.upper()}_NOT_FOUND", f"there is no {noun} {key}")
    return known[key]
