"""The commands against a scripted gateway on a loopback port."""

import asyncio
import io
import json
from collections.abc import AsyncIterator

import grpc
import pytest
from google.protobuf import json_format
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from google.rpc.code_pb2 import INVALID_ARGUMENT
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status
from rich.console import Console
from weft.gateway.v1 import agent_gateway_service_pb2 as pb
from weft.gateway.v1.agent_gateway_service_pb2_grpc import (
    AgentGatewayServicer,
    add_AgentGatewayServicer_to_server,
)
from weft.runs.v1 import event_pb2, run_pb2, run_service_pb2
from weft.runs.v1 import thread_event_pb2 as thread_pb
from weft.runs.v1.event_pb2 import RunEvent
from weft.runs.v1.run_service_pb2_grpc import RunServiceServicer, add_RunServiceServicer_to_server
from weft.threads.v1 import message_pb2
from weft_cli import faults, talk
from weft_cli.api import Api
from weft_cli.console import Printer

RUN, SUCCESSOR = f"run_{'0' * 26}", f"run_{'1' * 26}"
KEY = "weft_key"

Context = grpc.aio.ServicerContext[Message, Message]


class ScriptedGateway(AgentGatewayServicer, RunServiceServicer):
    """Has a log per run; ends watches with UNAVAILABLE after `cut_after` events, once per cut."""

    def __init__(self) -> None:
        self.logs: dict[str, list[RunEvent]] = {}
        self.cuts: list[int] = []
        self.watches: list[tuple[str, int]] = []
        self.thread: list[pb.ThreadStreamItem] = []
        self.thread_watches: list[tuple[int, bool]] = []
        self.keys: set[str] = set()
        self.watch_began, self.watch_ended = asyncio.Event(), asyncio.Event()

    async def InitiateAgent(self, request: pb.InitiateAgentRequest, context: Context) -> pb.InitiateAgentResponse:
        self.keys |= {str(value) for key, value in context.invocation_metadata() or () if key == "x-api-key"}
        if not request.text:
            await context.abort_with_status(rpc_status.to_status(a_bad_request()))
        return pb.InitiateAgentResponse(run_id=RUN, thread_id="thr_1", state=run_pb2.RUN_STATE_QUEUED)

    async def RunEvents(self, request: pb.RunEventsRequest, context: Context) -> AsyncIterator[pb.RunEventsResponse]:
        self.watches.append((request.run_id, request.after_seq))
        self.watch_began.set()
        cut = self.cuts.pop(0) if self.cuts else None
        try:
            for event in self.logs[request.run_id][request.after_seq :][:cut]:
                yield pb.RunEventsResponse(events=[event])
            if cut is not None:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "stopping")
            if not self.logs[request.run_id]:
                await asyncio.sleep(60)
        finally:
            self.watch_ended.set()

    async def ThreadEvents(
        self, request: pb.ThreadEventsRequest, context: Context
    ) -> AsyncIterator[pb.ThreadEventsResponse]:
        """One item a response; the cursor counts them."""
        begin = request.after.thread_seq
        self.thread_watches.append((begin, request.from_now))
        cut = self.cuts.pop(0) if self.cuts else None
        for number, item in enumerate(self.thread[begin:][:cut], begin + 1):
            yield pb.ThreadEventsResponse(items=[item], cursor=pb.ThreadCursor(thread_seq=number))
        if cut is not None:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "stopping")

    async def CancelRun(
        self, request: run_service_pb2.CancelRunRequest, _context: Context
    ) -> run_service_pb2.CancelRunResponse:
        run = run_pb2.Run(run_id=request.run_id, state=run_pb2.RUN_STATE_CANCELLED)
        run.end_time.GetCurrentTime()
        return run_service_pb2.CancelRunResponse(run=run)


def a_bad_request() -> Status:
    info = error_details_pb2.ErrorInfo(reason="INVALID_FIELDS", domain="weft")
    bad = error_details_pb2.BadRequest()
    bad.field_violations.add(field="text", description="must be at least 1 character")
    details = [Any(), Any()]
    details[0].Pack(info)
    details[1].Pack(bad)
    return Status(code=INVALID_ARGUMENT, message="a field breaks its rules", details=details)


def a_log(end: RunEvent) -> list[RunEvent]:
    deltas = [event_pb2.MessageDelta(text=word) for word in ("one ", "two ", "three")]
    events = [RunEvent(run_queued=event_pb2.RunQueued()), *(RunEvent(message_delta=delta) for delta in deltas), end]
    for seq, event in enumerate(events, 1):
        event.seq = seq
    return events


def a_success() -> RunEvent:
    return RunEvent(run_succeeded=event_pb2.RunSucceeded())


def a_thread() -> list[pb.ThreadStreamItem]:
    said = message_pb2.Message(parts=[message_pb2.Part(text="Hello  there")])
    own = [
        thread_pb.ThreadEvent(message_created=thread_pb.ThreadMessageCreated(message=said)),
        thread_pb.ThreadEvent(run_started=thread_pb.ThreadRunStarted(run_id=RUN)),
        thread_pb.ThreadEvent(run_ended=thread_pb.ThreadRunEnded(run_id=RUN, terminal_event=a_success())),
        thread_pb.ThreadEvent(title_updated=thread_pb.ThreadTitleUpdated(title="Greetings")),
        thread_pb.ThreadEvent(thread_deleted=thread_pb.ThreadDeleted()),
    ]
    for seq, event in enumerate(own, 1):
        event.seq = seq
    items = [pb.ThreadStreamItem(thread_event=event) for event in own]
    return [*items[:2], *(pb.ThreadStreamItem(run_event=event) for event in a_log(a_success())), *items[2:]]


@pytest.fixture
async def gateway() -> ScriptedGateway:
    return ScriptedGateway()  # type: ignore[abstract]  # the other methods of RunService are not called


@pytest.fixture
async def api(gateway: ScriptedGateway) -> AsyncIterator[Api]:
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    add_AgentGatewayServicer_to_server(gateway, server)
    add_RunServiceServicer_to_server(gateway, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with Api(f"127.0.0.1:{port}", KEY) as made:
        yield made
    await server.stop(None)


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def printer(out: io.StringIO) -> Printer:
    return Printer(Console(file=out, width=200, highlight=False))


async def test_chat_shows_ids_and_answer(
    gateway: ScriptedGateway, api: Api, printer: Printer, out: io.StringIO
) -> None:
    gateway.logs[RUN] = a_log(a_success())
    code = await talk.chat(api, printer, pb.InitiateAgentRequest(text="Hello"))
    assert code == 0
    assert gateway.keys == {KEY}
    assert f"run {RUN}" in out.getvalue()
    assert " ms" in out.getvalue()
    assert "one two three\n    5  run.succeeded" in out.getvalue()


async def test_chat_follows_the_run_that_took_over(gateway: ScriptedGateway, api: Api, printer: Printer) -> None:
    superseded = event_pb2.RunSuperseded(successor_run_id=SUCCESSOR)
    gateway.logs = {RUN: a_log(RunEvent(run_superseded=superseded)), SUCCESSOR: a_log(a_success())}
    assert await talk.chat(api, printer, pb.InitiateAgentRequest(text="Hello")) == 0
    assert gateway.watches == [(RUN, 0), (SUCCESSOR, 0)]


async def test_a_failed_run_ends_with_1(gateway: ScriptedGateway, api: Api, printer: Printer, out: io.StringIO) -> None:
    failure = run_pb2.Failure(reason=run_pb2.FAILURE_REASON_MODEL_REFUSED, message="wrong key")
    gateway.logs[RUN] = a_log(RunEvent(run_failed=event_pb2.RunFailed(failure=failure)))
    assert await talk.follow(api, printer, RUN) == 1
    assert "MODEL_REFUSED: wrong key" in out.getvalue()


async def test_events_begin_after_the_seq_that_the_caller_has(
    gateway: ScriptedGateway, api: Api, printer: Printer
) -> None:
    gateway.logs[RUN] = a_log(a_success())
    assert await talk.follow(api, printer, RUN, after_seq=3) == 0
    assert gateway.watches == [(RUN, 3)]


async def test_a_watch_resumes_over_servers_that_stop(gateway: ScriptedGateway, api: Api) -> None:
    gateway.logs[RUN] = a_log(a_success())
    gateway.cuts = [2, 0, 1]
    seqs = [event.seq async for event in api.watch(RUN)]
    assert seqs == [1, 2, 3, 4, 5]
    assert gateway.watches == [(RUN, 0), (RUN, 2), (RUN, 2), (RUN, 3)]


async def test_a_watch_ends_at_the_server_when_its_reader_leaves(gateway: ScriptedGateway, api: Api) -> None:
    gateway.logs[RUN] = []
    reading = asyncio.create_task(anext(api.watch(RUN)))
    async with asyncio.timeout(5):
        await gateway.watch_began.wait()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await gateway.watch_ended.wait()


async def test_a_refused_call_tells_sentence_reason_and_field(api: Api) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await api.call(api.gateway.InitiateAgent, pb.InitiateAgentRequest())
    assert faults.describe(caught.value).splitlines() == [
        "error: a field breaks its rules",
        "  code: INVALID_ARGUMENT",
        "  reason: INVALID_FIELDS",
        "  field text: must be at least 1 character",
    ]


async def test_a_refused_call_is_told_in_one_line_with_what_to_do(api: Api) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await api.call(api.gateway.InitiateAgent, pb.InitiateAgentRequest())
    told = faults.in_one_line(caught.value, "127.0.0.1:1")
    assert told == "error: a field breaks its rules: text must be at least 1 character [INVALID_FIELDS]"


async def test_a_call_that_is_too_large_is_told_with_what_fits(api: Api) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await api.call(api.gateway.InitiateAgent, pb.InitiateAgentRequest(text="a" * 5_000_000))
    assert faults.in_one_line(caught.value, "127.0.0.1:1").endswith("; a call may have 16 MiB, the files in it 15 MiB")


async def test_events_as_json_are_a_line_each(
    gateway: ScriptedGateway, api: Api, printer: Printer, out: io.StringIO
) -> None:
    gateway.logs[RUN] = a_log(a_success())
    assert await talk.chat(api, printer, pb.InitiateAgentRequest(text="Hello"), is_json=True) == 0
    initiated, *events = [json.loads(line) for line in out.getvalue().splitlines()]
    assert initiated["runId"] == RUN
    assert [event["seq"] for event in events] == [str(n) for n in range(1, len(gateway.logs[RUN]) + 1)]


async def test_a_thread_is_watched_to_its_end_over_lost_connections(
    gateway: ScriptedGateway, api: Api, printer: Printer, out: io.StringIO
) -> None:
    gateway.thread, gateway.cuts = a_thread(), [0, 4, 3]
    await talk.watch_thread(api, printer, "thr_1", from_now=False)
    assert gateway.thread_watches == [(0, False), (0, False), (4, False), (7, False)]
    lines = out.getvalue().splitlines()
    assert lines[0] == "    1  message.created    Hello there"
    assert lines[1] == f"    2  run.started        {RUN}"
    assert "one two three" in out.getvalue()
    assert lines[-3:] == [
        f"    3  run.ended          {RUN} run.succeeded",
        "    4  title.updated      Greetings",
        "    5  thread.deleted",
    ]


async def test_a_thread_is_watched_from_now_on_in_json(
    gateway: ScriptedGateway, api: Api, printer: Printer, out: io.StringIO
) -> None:
    gateway.thread, gateway.cuts = a_thread(), [0, 2]
    await talk.watch_thread(api, printer, "thr_1", from_now=True, is_json=True)
    assert gateway.thread_watches == [(0, True), (0, True), (2, False)]
    items = [json_format.Parse(line, pb.ThreadStreamItem()) for line in out.getvalue().splitlines()]
    assert items == a_thread()
