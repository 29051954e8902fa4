"""A stand-in for threads and tools as the gateway calls them: real gRPC, real tokens and contracts, a log in memory."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from weft.runs.v1 import admission_service_pb2 as admission_pb
from weft.runs.v1 import admission_service_pb2_grpc as admission_rpc
from weft.runs.v1 import event_pb2, run_service_pb2, thread_event_pb2
from weft.runs.v1 import run_log_service_pb2 as log_pb
from weft.runs.v1 import run_log_service_pb2_grpc as log_rpc
from weft.runs.v1 import run_service_pb2_grpc as run_rpc
from weft.tenants.v1 import credential_service_pb2 as credential_pb
from weft.tenants.v1 import credential_service_pb2_grpc as credential_rpc
from weft.tools.v1 import tool_service_pb2 as tool_pb
from weft.tools.v1 import tool_service_pb2_grpc as tool_rpc
from weft_core.errors import NotFoundError, OutOfRangeError, UnauthenticatedError
from weft_core.ids import format_id
from weft_grpckit.context import caller_of
from weft_grpckit.server import WeftServer, inner_guards
from weft_grpckit.tokens import TokenVerifier

Publish = Callable[[str, bytes], None]
_PAGE = 100
_THREAD_PAGE = 5


@dataclass
class FakeRun:
    """The log of a run: serialized events, the first has seq 1."""

    tenant_id: UUID
    run_id: str
    events: list[bytes] = field(default_factory=list)
    is_ended: bool = False


@dataclass
class FakeThread:
    """The log of a thread: serialized events, the first has seq 1."""

    tenant_id: UUID
    thread_id: str
    events: list[bytes] = field(default_factory=list)
    is_deleted: bool = False

    def open_run(self, seq: int) -> str:
        """Return the run that had started and not ended when the event `seq` was written; "" where none had."""
        open_run = ""
        for event in map(thread_event_pb2.ThreadEvent.FromString, self.events[:seq]):
            open_run = event.run_started.run_id or open_run
            open_run = "" if event.run_ended.run_id == open_run else open_run
        return open_run


@dataclass
class FakeKey:
    tenant_id: UUID
    scopes: tuple[str, ...]
    principal: str = "somebody"


class FakeUpstream:
    """State and servicers. It keeps its port and its state over `stop` and `start`.

    `handlers` answer forwarded methods by name: GetRun, WaitRun, ExecuteTool (an async generator function). InitiateRun
    answers with the run of number 9, unless there is one.
    """

    def __init__(self, token_key: bytes, publish: Publish) -> None:
        self._token_key, self._publish = token_key, publish
        self.runs: dict[str, FakeRun] = {}
        self.threads: dict[str, FakeThread] = {}
        self.keys: dict[bytes, FakeKey] = {}
        self.handlers: dict[str, Callable[..., Any]] = {}
        self.initiated: list[tuple[UUID, admission_pb.InitiateRunRequest]] = []
        self.resolved = self.pages_read = self.thread_pages_read = self.heads_asked = 0
        self.before_read: Callable[[], Awaitable[None]] | None = None
        self.port = 0
        self._server: WeftServer | None = None

    def add_key(self, secret: str, tenant_id: UUID, *scopes: str) -> None:
        self.keys[hashlib.sha256(secret.encode()).digest()] = FakeKey(tenant_id, scopes)

    def revoke(self, secret: str) -> None:
        del self.keys[hashlib.sha256(secret.encode()).digest()]

    def add_run(self, tenant_id: UUID, number: int) -> FakeRun:
        run = FakeRun(tenant_id, format_id("run", UUID(int=number)))
        self.runs[run.run_id] = run
        return run

    def append(
        self,
        run: FakeRun,
        count: int = 1,
        *,
        is_terminal: bool = False,
        is_published: bool = True,
        successor: FakeRun | None = None,
    ) -> None:
        """Commit events, the last one terminal if wanted, and publish them in one frame.

        With a successor the terminal event is run.superseded.
        """
        first_seq = len(run.events) + 1
        new = [self._event(run, first_seq + place) for place in range(count)]
        if is_terminal:
            last = event_pb2.RunEvent.FromString(new[-1])
            if successor is not None:
                last.run_superseded.successor_run_id = successor.run_id
            else:
                last.run_succeeded.SetInParent()
            new[-1] = last.SerializeToString()
        run.events += new
        run.is_ended = is_terminal
        if is_published:
            self.publish(run, first_seq, count)

    def add_thread(self, tenant_id: UUID, number: int) -> FakeThread:
        thread = FakeThread(tenant_id, format_id("thr", UUID(int=number)))
        self.threads[thread.thread_id] = thread
        return thread

    def log(self, thread: FakeThread, *, is_published: bool = True, **payload: Any) -> None:
        """Commit an event of a thread, `run_started={"run_id": …}`, and say so."""
        event = thread_event_pb2.ThreadEvent(thread_id=thread.thread_id, seq=len(thread.events) + 1, **payload)
        thread.events.append(event.SerializeToString())
        thread.is_deleted = event.HasField("thread_deleted")
        if is_published:
            self._publish(thread.thread_id, b"")

    def publish(self, run: FakeRun, first_seq: int, count: int) -> None:
        """Publish what was committed, as it is or once more."""
        last_seq = first_seq + count - 1
        batch = log_pb.LiveBatch(
            run_id=run.run_id,
            first_seq=first_seq,
            events=run.events[first_seq - 1 : last_seq],
            is_terminal=run.is_ended and last_seq == len(run.events),
        )
        self._publish(run.run_id, batch.SerializeToString())

    def _event(self, run: FakeRun, seq: int) -> bytes:
        event = event_pb2.RunEvent(run_id=run.run_id, seq=seq, epoch=1)
        event.message_delta.text = f"piece {seq}"
        return event.SerializeToString()

    async def start(self) -> None:
        server = WeftServer(inner_guards(TokenVerifier(self._token_key)), strict_reasons=True)
        server.register(log_rpc.add_RunLogServiceServicer_to_server, _Log(self))
        server.register(credential_rpc.add_CredentialServiceServicer_to_server, _Credentials(self))
        server.register(admission_rpc.add_AdmissionServiceServicer_to_server, _Admission(self))
        server.register(run_rpc.add_RunServiceServicer_to_server, _Runs(self))
        server.register(tool_rpc.add_ToolServiceServicer_to_server, _Tools(self))
        self.port = await server.start(f"127.0.0.1:{self.port}")
        self._server = server

    async def stop(self, grace_seconds: float = 0) -> None:
        server, self._server = self._server, None
        if server is not None:
            await server.stop(grace_seconds)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


class _Log(log_rpc.RunLogServiceServicer):
    def __init__(self, threads: FakeUpstream) -> None:
        self._threads = threads

    async def ReadEvents(self, request: log_pb.ReadEventsRequest, context: Any) -> log_pb.ReadEventsResponse:
        self._threads.pages_read += 1
        if self._threads.before_read is not None:
            await self._threads.before_read()
        run = self._threads.runs.get(request.run_id)
        if run is None or run.tenant_id != caller_of(context).tenant_id:
            raise NotFoundError("RUN_NOT_FOUND", "no such run")
        if request.after_seq > len(run.events):
            raise OutOfRangeError("CURSOR_OUT_OF_RANGE", "beyond", metadata={"last_seq": str(len(run.events))})
        page = run.events[request.after_seq : request.after_seq + _PAGE]
        return log_pb.ReadEventsResponse(events=page, last_seq=len(run.events), is_ended=run.is_ended)

    async def ReadThreadEvents(
        self, request: log_pb.ReadThreadEventsRequest, context: Any
    ) -> log_pb.ReadThreadEventsResponse:
        self._threads.thread_pages_read += 1
        thread = self._threads.threads.get(request.thread_id)
        is_gone = thread is not None and thread.is_deleted and not request.serve_deleted
        if thread is None or is_gone or thread.tenant_id != caller_of(context).tenant_id:
            raise NotFoundError("THREAD_NOT_FOUND", "no such thread")
        last_seq = len(thread.events)
        after_seq = last_seq if request.from_now else request.after_seq
        if after_seq > last_seq:
            raise OutOfRangeError("CURSOR_OUT_OF_RANGE", "beyond", metadata={"last_seq": str(last_seq)})
        return log_pb.ReadThreadEventsResponse(
            events=thread.events[after_seq : after_seq + _THREAD_PAGE],
            last_seq=last_seq,
            is_deleted=thread.is_deleted,
            open_run_id=thread.open_run(after_seq) if request.with_open_run else "",
        )

    async def GetHeads(self, request: log_pb.GetHeadsRequest, context: Any) -> log_pb.GetHeadsResponse:
        self._threads.heads_asked += 1
        heads = []
        for key in request.runs:
            run = self._threads.runs.get(key.run_id)
            if run is not None and format_id("ten", run.tenant_id) == key.tenant_id:
                heads.append(log_pb.RunHead(run_id=key.run_id, last_seq=len(run.events)))
        thread_heads = []
        for each in request.threads:
            thread = self._threads.threads.get(each.thread_id)
            if thread is not None and format_id("ten", thread.tenant_id) == each.tenant_id:
                thread_heads.append(log_pb.ThreadHead(thread_id=each.thread_id, last_seq=len(thread.events)))
        return log_pb.GetHeadsResponse(heads=heads, thread_heads=thread_heads)


class _Credentials(credential_rpc.CredentialServiceServicer):
    def __init__(self, threads: FakeUpstream) -> None:
        self._threads = threads

    async def ResolveApiKey(
        self, request: credential_pb.ResolveApiKeyRequest, context: Any
    ) -> credential_pb.ResolveApiKeyResponse:
        self._threads.resolved += 1
        await asyncio.sleep(0.01)
        key = self._threads.keys.get(request.key_sha256)
        if key is None:
            raise UnauthenticatedError("API_KEY_INVALID", "unknown key")
        return credential_pb.ResolveApiKeyResponse(
            api_key_id=format_id("key", UUID(int=1)),
            tenant_id=format_id("ten", key.tenant_id),
            principal=key.principal,
            scopes=key.scopes,
        )


class _Admission(admission_rpc.AdmissionServiceServicer):
    def __init__(self, threads: FakeUpstream) -> None:
        self._threads = threads

    async def InitiateRun(
        self, request: admission_pb.InitiateRunRequest, context: Any
    ) -> admission_pb.InitiateRunResponse:
        if handler := self._threads.handlers.get("InitiateRun"):
            response: admission_pb.InitiateRunResponse = await handler(request, context)
            return response
        self._threads.initiated.append((caller_of(context).tenant_id, request))
        return admission_pb.InitiateRunResponse(run_id=format_id("run", UUID(int=9)), is_merged=True)


class _Runs(run_rpc.RunServiceServicer):
    def __init__(self, threads: FakeUpstream) -> None:
        self._threads = threads

    async def GetRun(self, request: run_service_pb2.GetRunRequest, context: Any) -> run_service_pb2.GetRunResponse:
        response: run_service_pb2.GetRunResponse = await self._threads.handlers["GetRun"](request, context)
        return response

    async def WaitRun(self, request: run_service_pb2.WaitRunRequest, context: Any) -> run_service_pb2.WaitRunResponse:
        response: run_service_pb2.WaitRunResponse = await self._threads.handlers["WaitRun"](request, context)
        return response

    async def _unused(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    ListRuns = CancelRun = _unused


class _Tools(tool_rpc.ToolServiceServicer):
    def __init__(self, threads: FakeUpstream) -> None:
        self._threads = threads

    async def ExecuteTool(
        self, request: tool_pb.ExecuteToolRequest, context: Any
    ) -> AsyncIterator[tool_pb.ExecuteToolResponse]:
        async for response in self._threads.handlers["ExecuteTool"](request, context):
            yield response

    async def _unused(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    GetTool = ListTools = _unused
