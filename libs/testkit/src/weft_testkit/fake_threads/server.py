"""The fakes behind a real server on a loopback port."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from weft.documents.v1 import document_service_pb2_grpc
from weft.projects.v1 import project_service_pb2_grpc
from weft.runs.v1 import run_service_pb2_grpc
from weft.tasks.v1 import task_service_pb2_grpc
from weft.tools.v1 import tool_journal_service_pb2_grpc
from weft_grpckit.server import WeftServer, inner_guards
from weft_grpckit.tokens import TokenVerifier

from weft_testkit.fake_threads.journal import FakeToolJournal
from weft_testkit.fake_threads.resources import FakeDocuments, FakeProjects, FakeRuns, FakeTasks
from weft_testkit.fake_threads.world import FakeWorld


@dataclass(frozen=True, slots=True)
class FakeThreads:
    world: FakeWorld
    journal: FakeToolJournal
    documents: FakeDocuments
    address: str


@asynccontextmanager
async def fake_threads(key: bytes) -> AsyncIterator[FakeThreads]:
    """Serve until left. `key` signs the tokens that are taken."""
    world = FakeWorld()
    journal, documents = FakeToolJournal(world), FakeDocuments(world)
    server = WeftServer(inner_guards(TokenVerifier(key)), strict_reasons=True)
    server.register(tool_journal_service_pb2_grpc.add_ToolJournalServiceServicer_to_server, journal)
    server.register(document_service_pb2_grpc.add_DocumentServiceServicer_to_server, documents)
    server.register(project_service_pb2_grpc.add_ProjectServiceServicer_to_server, FakeProjects(world))
    server.register(task_service_pb2_grpc.add_TaskServiceServicer_to_server, FakeTasks(world))
    server.register(run_service_pb2_grpc.add_RunServiceServicer_to_server, FakeRuns(world))
    port = await server.start("127.0.0.1:0")
    try:
        yield FakeThreads(world, journal, documents, f"127.0.0.1:{port}")
    finally:
        await server.stop(0)
