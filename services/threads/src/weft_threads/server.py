"""The composition root."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from uuid import UUID

import uuid_utils.compat
from weft.agents.v1 import agent_pb2, agent_service_pb2_grpc
from weft.documents.v1 import document_service_pb2_grpc
from weft.projects.v1 import project_service_pb2_grpc
from weft.runs.v1 import (
    admission_service_pb2_grpc,
    run_log_service_pb2_grpc,
    run_pb2,
    run_queue_service_pb2_grpc,
    run_service_pb2_grpc,
)
from weft.tasks.v1 import task_service_pb2_grpc
from weft.tenants.v1 import credential_service_pb2_grpc, model_endpoint_service_pb2_grpc, tenant_service_pb2_grpc
from weft.threads.v1 import attachment_service_pb2_grpc, thread_service_pb2_grpc
from weft.tools.v1 import tool_journal_service_pb2_grpc
from weft.usage.v1 import usage_service_pb2_grpc
from weft_core.page_tokens import PageTokens
from weft_grpckit.program import Program, run_service
from weft_grpckit.server import WeftServer, inner_guards
from weft_grpckit.settings import load_settings
from weft_grpckit.tokens import TokenSigner, TokenVerifier
from weft_telemetry import names, state
from weft_telemetry.metrics import observe_number
from weft_wire.live import LiveEvents
from weft_wire.outlet import RedisOutlet

from weft_threads.agents.agents import Agents
from weft_threads.agents.servicer import AgentServicer
from weft_threads.agents.spec import stored
from weft_threads.attachments.attachments import Attachments
from weft_threads.attachments.servicer import AttachmentServicer
from weft_threads.border import StorableTextGuard
from weft_threads.documents.documents import Documents
from weft_threads.documents.servicer import DocumentServicer
from weft_threads.events.log import RunLog
from weft_threads.events.log_servicer import RunLogServicer
from weft_threads.events.thread_log import ThreadLog
from weft_threads.model_endpoints.model_endpoints import ModelEndpoints
from weft_threads.model_endpoints.sealing import Sealer
from weft_threads.model_endpoints.servicer import ModelEndpointServicer
from weft_threads.paging import Pager
from weft_threads.projects.projects import Projects
from weft_threads.projects.servicer import ProjectServicer
from weft_threads.runs.admission import Admission
from weft_threads.runs.announce import Announcer
from weft_threads.runs.commit import Committer
from weft_threads.runs.context_reader import ContextReader
from weft_threads.runs.end import Ending, delete_thread
from weft_threads.runs.end_signals import LiveEndSignals
from weft_threads.runs.held_claims import HeldClaims
from weft_threads.runs.queue import Claimed, RunQueue
from weft_threads.runs.queue_servicer import RunQueueServicer
from weft_threads.runs.reaper import Reaper
from weft_threads.runs.run_reader import RunReader
from weft_threads.runs.run_servicer import AdmissionServicer, RunServicer
from weft_threads.runs.telemetry import QueueGauge
from weft_threads.runs.titles import Titles
from weft_threads.settings import Settings
from weft_threads.store.database import Database
from weft_threads.tasks.servicer import TaskServicer
from weft_threads.tasks.tasks import Tasks
from weft_threads.tenants.servicer import CredentialServicer, TenantServicer
from weft_threads.tenants.tenants import Tenants
from weft_threads.threads.servicer import ThreadServicer
from weft_threads.threads.threads import Threads
from weft_threads.tools.journal import ToolJournal
from weft_threads.tools.servicer import ToolJournalServicer
from weft_threads.usage.servicer import UsageServicer
from weft_threads.usage.usage import UsageReports

# What a run may do through its token: load its agent, read its context, and what the tools do for it.
RUN_SCOPES = (
    *("agents.read", "documents.read", "projects.read", "runs.read"),
    *("models.use", "tasks.write", "tools.execute", "tools.read"),
)
# A run's token outlives its running time by this, so that what it began can be written down.
RUN_TOKEN_SLACK_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Wiring:
    """What all servicers are made of."""

    database: Database
    announcer: Announcer
    held: HeldClaims
    ends: LiveEndSignals
    pager: Pager
    signer: TokenSigner
    new_id: Callable[[], UUID]
    settings: Settings
    stopping: asyncio.Event

    @property
    def delete_thread(self) -> Callable[[UUID, UUID], Awaitable[None]]:
        return partial(delete_thread, self.database, self.announcer)


async def compose(settings: Settings, program: Program) -> None:
    key = settings.token_key_bytes
    outlet, wires = RedisOutlet(settings.redis_url), list[LiveEvents]()

    def connect(on_frame: Callable[[str, bytes], None]) -> LiveEvents:
        wires.append(LiveEvents(settings.redis_url, on_frame))
        return wires[0]

    held = HeldClaims(outlet)
    program.on_drain(held.close)
    wiring = Wiring(
        database=await _open_database(settings, program),
        announcer=Announcer(held, outlet, outlet),
        held=held,
        ends=LiveEndSignals(connect),
        pager=Pager(PageTokens(key)),
        signer=TokenSigner(key),
        new_id=uuid_utils.compat.uuid7,
        settings=settings,
        stopping=program.stopping,
    )
    program.spawn("redis outlet", outlet.run())
    if state.installed().meter is not None:
        observe_number(names.LIVE_DROPPED, lambda: outlet.dropped)
        program.spawn("queue gauge", QueueGauge(wiring.database).run())
    program.spawn("live events", wires[0].run())
    program.spawn("reaper", Reaper(wiring.database, wiring.announcer, settings.runner_lease).run())
    server = WeftServer(
        [*inner_guards(TokenVerifier(key)), StorableTextGuard()],
        stopping=program.stopping,
        strict_reasons=settings.strict_reasons,
    )
    register_nouns(server, wiring)
    register_runs(server, wiring)
    await program.serve(server, settings.listen_address)


def register_nouns(server: WeftServer, wiring: Wiring) -> None:
    database, new_id, pager = wiring.database, wiring.new_id, wiring.pager
    agents = AgentServicer(Agents(database, new_id), pager)
    server.register(agent_service_pb2_grpc.add_AgentServiceServicer_to_server, agents)
    projects = ProjectServicer(Projects(database, new_id, wiring.delete_thread), pager)
    server.register(project_service_pb2_grpc.add_ProjectServiceServicer_to_server, projects)
    documents = DocumentServicer(Documents(database, new_id), pager)
    server.register(document_service_pb2_grpc.add_DocumentServiceServicer_to_server, documents)
    tasks = TaskServicer(Tasks(database, new_id), pager)
    server.register(task_service_pb2_grpc.add_TaskServiceServicer_to_server, tasks)
    threads = ThreadServicer(Threads(database, new_id, wiring.delete_thread, wiring.announcer.thread), pager)
    server.register(thread_service_pb2_grpc.add_ThreadServiceServicer_to_server, threads)
    chat = stored(agent_pb2.AgentSpec(busy_strategy=run_pb2.BUSY_STRATEGY_MERGE))
    tenants = Tenants(database, new_id, chat)
    server.register(tenant_service_pb2_grpc.add_TenantServiceServicer_to_server, TenantServicer(tenants, pager))
    server.register(credential_service_pb2_grpc.add_CredentialServiceServicer_to_server, CredentialServicer(tenants))
    usage = UsageServicer(UsageReports(database), pager)
    server.register(usage_service_pb2_grpc.add_UsageServiceServicer_to_server, usage)
    journal = ToolJournalServicer(ToolJournal(database, new_id))
    server.register(tool_journal_service_pb2_grpc.add_ToolJournalServiceServicer_to_server, journal)


def register_runs(server: WeftServer, wiring: Wiring) -> None:
    database, announcer, new_id = wiring.database, wiring.announcer, wiring.new_id
    admission = AdmissionServicer(Admission(database, announcer, new_id))
    server.register(admission_service_pb2_grpc.add_AdmissionServiceServicer_to_server, admission)
    reader = RunReader(database, wiring.pager, wiring.ends, wiring.stopping)
    runs = RunServicer(reader, Ending(database, announcer))
    server.register(run_service_pb2_grpc.add_RunServiceServicer_to_server, runs)
    log = RunLogServicer(RunLog(database), ThreadLog(database))
    server.register(run_log_service_pb2_grpc.add_RunLogServiceServicer_to_server, log)
    endpoints = ModelEndpoints(database, Sealer(wiring.settings.secrets_keys))
    server.register(
        model_endpoint_service_pb2_grpc.add_ModelEndpointServiceServicer_to_server, ModelEndpointServicer(endpoints)
    )
    queue = RunQueueServicer(
        RunQueue(database, announcer, new_id, wiring.settings.runner_lease, wiring.held),
        Committer(database, announcer, new_id),
        ContextReader(database),
        Titles(database, new_id, announcer.thread),
        endpoints,
        new_id,
        partial(run_token, wiring.signer),
    )
    server.register(run_queue_service_pb2_grpc.add_RunQueueServiceServicer_to_server, queue)
    attachments = AttachmentServicer(Attachments(database, announcer.thread))
    server.register(attachment_service_pb2_grpc.add_AttachmentServiceServicer_to_server, attachments)


def run_token(signer: TokenSigner, claimed: Claimed) -> str:
    """Return what a runner calls other services with, for one take-up of one run."""
    run = claimed.run
    return signer.run_token(
        run["tenant_id"],
        run["created_by"],
        RUN_SCOPES,
        run_id=run["run_id"],
        epoch=run["epoch"],
        agent_id=run["agent_id"],
        lifetime_seconds=claimed.remaining.total_seconds() + RUN_TOKEN_SLACK_SECONDS,
    )


async def _open_database(settings: Settings, program: Program) -> Database:
    return await Database.open(
        await program.enter(AsyncExitStack()),
        settings.app_database_url.get_secret_value(),
        settings.queue_database_url.get_secret_value(),
        settings.app_connections,
        settings.queue_connections,
    )


def main() -> None:
    settings = load_settings(Settings)
    run_service("threads", settings, lambda program: compose(settings, program))
