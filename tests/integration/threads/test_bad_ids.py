"""Ids that are not the caller's to use, over every method that takes one."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from threads_world import Client, ThreadsWorld, a_document, a_task, an_agent, refused, unknown_id
from weft.agents.v1 import agent_service_pb2 as agents
from weft.documents.v1 import document_service_pb2 as documents
from weft.projects.v1 import project_service_pb2 as projects
from weft.runs.v1 import admission_service_pb2 as admission
from weft.runs.v1 import run_log_service_pb2 as run_log
from weft.runs.v1 import run_pb2
from weft.runs.v1 import run_queue_service_pb2 as run_queue
from weft.runs.v1 import run_service_pb2 as runs
from weft.tasks.v1 import task_service_pb2 as tasks
from weft.tenants.v1 import tenant_service_pb2 as tenants
from weft.threads.v1 import message_pb2
from weft.threads.v1 import thread_service_pb2 as threads
from weft.tools.v1 import tool_journal_service_pb2 as journal
from weft_core.ids import KINDS
from weft_grpckit.contract import contract_of

MODULES = (
    agents,
    documents,
    projects,
    admission,
    run_log,
    run_queue,
    runs,
    tasks,
    tenants,
    threads,
    journal,
)
# Ids of the caller's own choice, and the model's.
UNTYPED = frozenset({"request_id", "call_id"})
PREFIXES = {f"{kind.lower().replace(' ', '_')}_id": prefix for prefix, kind in KINDS.items()}
PREFIXES["default_agent_id"] = "agt"


@dataclass(frozen=True)
class IdField:
    method: MethodDescriptor
    field: FieldDescriptor

    def __str__(self) -> str:
        return f"{self.method.name}.{self.field.name}"

    @property
    def prefix(self) -> str:
        return PREFIXES[self.field.name]

    def request(self, value: str) -> Message:
        request = GetMessageClass(self.method.input_type)()
        setattr(request, self.field.name, value)
        return request


def id_fields() -> Iterator[IdField]:
    services: list[ServiceDescriptor] = [
        service for module in MODULES for service in module.DESCRIPTOR.services_by_name.values()
    ]
    for method in (method for service in services for method in service.methods):
        names = {field.name: field for field in method.input_type.fields if field.name.endswith("_id")}
        yield from (IdField(method, field) for name, field in names.items() if name not in UNTYPED)


def client_for(world: ThreadsWorld, method: MethodDescriptor, caller: Client) -> Client:
    contract = contract_of(method)
    if contract.scope == "tenants.admin":
        return world.operator
    return caller if contract.scope else world.service(sorted(contract.service_callers)[0])


async def call(client: Client, method: MethodDescriptor, request: Message) -> None:
    path = contract_of(method).path
    serializer = type(request).SerializeToString
    deserializer = GetMessageClass(method.output_type).FromString
    if method.server_streaming:
        await client.channel.unary_stream(path, serializer, deserializer)(request).read()
    else:
        await client.channel.unary_unary(path, serializer, deserializer)(request)


@pytest.mark.parametrize("field", list(id_fields()), ids=str)
async def test_id_of_another_kind_is_refused_by_its_fields_name(world: ThreadsWorld, field: IdField) -> None:
    _, caller = await world.tenant()
    other = "run" if field.prefix != "run" else "thr"
    wrong = (unknown_id(other), "nonsense", field.prefix + "_", unknown_id(field.prefix).upper())
    for value in (*wrong, unknown_id(field.prefix)[:-1] + "i", f"{field.prefix}_{'z' * 26}"):
        with refused("INVALID_FIELDS") as refusal:
            await call(client_for(world, field.method, caller), field.method, field.request(value))
        assert field.field.name in refusal.fields, value


# Each with the noun that is missing; filled from the ids of a tenant, or with unknown ones.
FOREIGN: list[tuple[str, str, Callable[[Mapping[str, str]], Message]]] = [
    ("agents.GetAgent", "AGENT", lambda i: agents.GetAgentRequest(agent_id=i["agt"])),
    ("agents.UpdateAgent", "AGENT", lambda i: agents.UpdateAgentRequest(agent_id=i["agt"], display_name="x")),
    ("agents.DeleteAgent", "AGENT", lambda i: agents.DeleteAgentRequest(agent_id=i["agt"], force=True)),
    ("agents.ListAgentVersions", "AGENT", lambda i: agents.ListAgentVersionsRequest(agent_id=i["agt"])),
    ("agents.GetAgentVersion", "AGENT_VERSION", lambda i: agents.GetAgentVersionRequest(agent_version_id=i["agv"])),
    ("projects.GetProject", "PROJECT", lambda i: projects.GetProjectRequest(project_id=i["prj"])),
    (
        "projects.UpdateProject",
        "PROJECT",
        lambda i: projects.UpdateProjectRequest(project_id=i["prj"], display_name="x"),
    ),
    ("projects.DeleteProject", "PROJECT", lambda i: projects.DeleteProjectRequest(project_id=i["prj"], force=True)),
    (
        "documents.PutDocument",
        "PROJECT",
        lambda i: documents.PutDocumentRequest(project_id=i["prj"], title="x", text="x"),
    ),
    ("documents.ListDocuments", "PROJECT", lambda i: documents.ListDocumentsRequest(project_id=i["prj"])),
    (
        "documents.SearchDocuments",
        "PROJECT",
        lambda i: documents.SearchDocumentsRequest(project_id=i["prj"], query="x"),
    ),
    ("documents.GetDocument", "DOCUMENT", lambda i: documents.GetDocumentRequest(document_id=i["doc"])),
    ("documents.ReadDocument", "DOCUMENT", lambda i: documents.ReadDocumentRequest(document_id=i["doc"])),
    ("documents.DeleteDocument", "DOCUMENT", lambda i: documents.DeleteDocumentRequest(document_id=i["doc"])),
    ("tasks.CreateTask", "PROJECT", lambda i: tasks.CreateTaskRequest(project_id=i["prj"], title="x")),
    ("tasks.ListTasks", "PROJECT", lambda i: tasks.ListTasksRequest(project_id=i["prj"])),
    ("tasks.GetTask", "TASK", lambda i: tasks.GetTaskRequest(task_id=i["tsk"])),
    ("tasks.UpdateTask", "TASK", lambda i: tasks.UpdateTaskRequest(task_id=i["tsk"], title="x")),
    ("tasks.DeleteTask", "TASK", lambda i: tasks.DeleteTaskRequest(task_id=i["tsk"])),
    ("threads.CreateThread", "PROJECT", lambda i: threads.CreateThreadRequest(project_id=i["prj"])),
    ("threads.CreateThread", "AGENT", lambda i: threads.CreateThreadRequest(agent_id=i["agt"])),
    ("threads.GetThread", "THREAD", lambda i: threads.GetThreadRequest(thread_id=i["thr"])),
    ("threads.UpdateThread", "THREAD", lambda i: threads.UpdateThreadRequest(thread_id=i["thr"], title="x")),
    ("threads.DeleteThread", "THREAD", lambda i: threads.DeleteThreadRequest(thread_id=i["thr"])),
    ("threads.ListMessages", "THREAD", lambda i: threads.ListMessagesRequest(thread_id=i["thr"])),
    (
        "threads.CreateMessage",
        "THREAD",
        lambda i: threads.CreateMessageRequest(
            thread_id=i["thr"], role=message_pb2.ROLE_USER, parts=[message_pb2.Part(text="x")]
        ),
    ),
    ("admission.InitiateRun", "AGENT", lambda i: admission.InitiateRunRequest(text="x", agent_id=i["agt"])),
    ("admission.InitiateRun", "PROJECT", lambda i: admission.InitiateRunRequest(text="x", project_id=i["prj"])),
    ("admission.InitiateRun", "THREAD", lambda i: admission.InitiateRunRequest(text="x", thread_id=i["thr"])),
    ("runs.GetRun", "RUN", lambda i: runs.GetRunRequest(run_id=i["run"])),
    ("runs.WaitRun", "RUN", lambda i: runs.WaitRunRequest(run_id=i["run"])),
    ("runs.CancelRun", "RUN", lambda i: runs.CancelRunRequest(run_id=i["run"])),
]


def without_ids(text: str, ids: Mapping[str, str]) -> str:
    for each in ids.values():
        text = text.replace(each, "ID")
    return text


@pytest.mark.row("E3", "G9")
async def test_another_tenants_id_reads_like_one_that_does_not_exist(world: ThreadsWorld) -> None:
    tenant, owner = await world.tenant()
    _, stranger = await world.tenant()
    agent = await an_agent(owner)
    made = await owner.admission.InitiateRun(admission.InitiateRunRequest(text="hello"))
    theirs = {
        "agt": agent.agent_id,
        "agv": agent.agent_version_id,
        "prj": tenant.default_project_id,
        "doc": (await a_document(owner, tenant.default_project_id)).document_id,
        "tsk": (await a_task(owner, tenant.default_project_id)).task_id,
        "thr": made.thread_id,
        "run": made.run_id,
    }
    nobodys = {prefix: unknown_id(prefix) for prefix in theirs}
    for name, noun, request in FOREIGN:
        service, method = name.split(".")
        told = []
        for ids in (theirs, nobodys):
            with refused(f"{noun}_NOT_FOUND", grpc.StatusCode.NOT_FOUND) as refusal:
                await getattr(getattr(stranger, service), method)(request(ids))
            told.append(without_ids(refusal.message, ids))
        assert told[0] == told[1], name
    run = (await owner.runs.GetRun(runs.GetRunRequest(run_id=made.run_id))).run
    assert run.state == run_pb2.RUN_STATE_QUEUED


@pytest.mark.row("E3")
async def test_lists_show_nothing_of_another_tenant(world: ThreadsWorld) -> None:
    tenant, owner = await world.tenant()
    project_id = tenant.default_project_id
    await an_agent(owner)
    await a_document(owner, project_id)
    await a_task(owner, project_id)
    await owner.admission.InitiateRun(admission.InitiateRunRequest(text="hello"))
    _, stranger = await world.tenant()
    assert len((await stranger.agents.ListAgents(agents.ListAgentsRequest())).agents) == 1
    assert len((await stranger.projects.ListProjects(projects.ListProjectsRequest())).projects) == 1
    assert (await stranger.documents.ListDocuments(documents.ListDocumentsRequest())).documents == []
    assert (await stranger.tasks.ListTasks(tasks.ListTasksRequest())).tasks == []
    assert (await stranger.runs.ListRuns(runs.ListRunsRequest())).runs == []
    listed = await stranger.threads.ListThreads(threads.ListThreadsRequest(project_id=project_id))
    assert listed.threads == []
