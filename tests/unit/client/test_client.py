"""The synchronous client on grpcio-testing's channel: the test is the server, and sees every call."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Queue
from typing import Any

import grpc
import grpc_testing
import pytest
from weft.gateway.v1 import agent_gateway_service_pb2 as gateway_pb
from weft.runs.v1 import event_pb2 as pb
from weft.runs.v1 import run_service_pb2
from weft.runs.v1.event_pb2 import RunEvent
from weft.runs.v1.run_pb2 import Finish, RunState
from weft.threads.v1 import thread_service_pb2
from weft_client import (
    CancelledByServerError,
    ClientClosedError,
    Event,
    NotFoundError,
    Patience,
    ResourceExhaustedError,
    RunSupersededError,
    UnavailableError,
    Weft,
)
from weft_core.errors import WeftError
from weft_grpckit.status import to_status

GATEWAY = gateway_pb.DESCRIPTOR.services_by_name["AgentGateway"].methods_by_name
THREADS = thread_service_pb2.DESCRIPTOR.services_by_name["ThreadService"].methods_by_name
RUNS = run_service_pb2.DESCRIPTOR.services_by_name["RunService"].methods_by_name
SERVICES = [module.DESCRIPTOR.services_by_name for module in (gateway_pb, thread_service_pb2, run_service_pb2)]
STARTED = gateway_pb.InitiateAgentResponse(run_id="run_1", thread_id="thr_1", message_id="msg_0")
QUEUED = RunEvent(run_id="run_1", seq=1, run_queued=pb.RunQueued(thread_id="thr_1", message_id="msg_0"))
HEL = RunEvent(run_id="run_1", seq=2, message_delta=pb.MessageDelta(message_id="msg_1", text="Hel"))
LO = RunEvent(run_id="run_1", seq=3, message_delta=pb.MessageDelta(message_id="msg_1", text="lo"))
ENDED = RunEvent(run_id="run_1", seq=4, run_succeeded=pb.RunSucceeded(finish=Finish.FINISH_STOP))


class Server:
    """What the client's calls arrive at."""

    def __init__(self) -> None:
        descriptors = [service for services in SERVICES for service in services.values()]
        self.channel = grpc_testing.channel(descriptors, grpc_testing.strict_real_time())

    def answers(self, method: Any, answer: Any, error: WeftError | None = None) -> Any:
        """Answer one call, and return its request."""
        metadata, request, call = self.channel.take_unary_unary(method)
        assert ("x-api-key", "key") in [tuple(each) for each in metadata]
        call.send_initial_metadata(())
        status = to_status(error) if error else None
        call.terminate(
            answer,
            status.trailing_metadata if status else (),
            status.code if status else grpc.StatusCode.OK,
            status.details if status else "",
        )
        return request

    def starts(self) -> Any:
        return self.answers(GATEWAY["InitiateAgent"], STARTED)

    def begins(self, *events: RunEvent) -> tuple[Any, Any]:
        """Start a run and send events of it, and return the request and the open call."""
        _, request, call = self.channel.take_unary_stream(GATEWAY["StreamAgent"])
        call.send_initial_metadata(())
        call.send_response(gateway_pb.StreamAgentResponse(initiated=STARTED))
        for event in events:
            call.send_response(gateway_pb.StreamAgentResponse(events=[event]))
        return request.initiate, call

    def refuses(self, error: WeftError) -> Any:
        """Refuse to start a run, and return the request."""
        _, request, call = self.channel.take_unary_stream(GATEWAY["StreamAgent"])
        call.send_initial_metadata(())
        status = to_status(error)
        call.terminate(status.trailing_metadata, status.code, status.details)
        return request.initiate

    def streams(self, *events: RunEvent) -> tuple[Any, Any]:
        """Send events on one watch, and return its request and the open call."""
        _, request, call = self.channel.take_unary_stream(GATEWAY["RunEvents"])
        call.send_initial_metadata(())
        for event in events:
            call.send_response(gateway_pb.RunEventsResponse(events=[event]))
        return request, call


def end(call: Any, code: grpc.StatusCode = grpc.StatusCode.OK) -> None:
    call.terminate((), code, "")


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def client(server: Server) -> Iterator[Weft]:
    with Weft(api_key="key", channel=server.channel, patience=Patience(silence_seconds=5)) as opened:
        yield opened


@pytest.fixture
def beside() -> Iterator[Callable[..., "Future[Any]"]]:
    """Runs what blocks in another thread, while the test plays the server."""
    with ThreadPoolExecutor(2) as threads:
        yield threads.submit


def test_run_returns_the_answer(server: Server, client: Weft, beside: Callable[..., "Future[Any]"]) -> None:
    running = beside(client.run, "Hello", agent="agt_1", busy_strategy="merge")
    request, call = server.begins(QUEUED, HEL, LO, ENDED)
    end(call)
    assert (request.text, request.agent_id, request.busy_strategy) == ("Hello", "agt_1", 2)
    answer = running.result()
    assert (answer.text, answer.run_id, answer.thread_id, answer.finish) == ("Hello", "run_1", "thr_1", "stop")
    assert answer.started == STARTED


def test_a_start_whose_answer_was_lost_is_repeated_under_its_key(
    server: Server, client: Weft, beside: Callable[..., "Future[Any]"]
) -> None:
    starting = beside(client.start, "Hello")
    away = UnavailableError("DATABASE_UNAVAILABLE", "away", retry_after_seconds=0.0)
    first = server.answers(GATEWAY["InitiateAgent"], gateway_pb.InitiateAgentResponse(), away)
    second = server.starts()
    assert first == second
    assert first.request_id
    assert starting.result() == STARTED


def test_a_stream_whose_beginning_was_lost_begins_again_under_its_key(
    server: Server, client: Weft, beside: Callable[..., "Future[Any]"]
) -> None:
    running = beside(client.run, "Hello")
    first = server.refuses(UnavailableError("SERVER_STOPPING", "stopping", retry_after_seconds=0.0))
    _, _, ended = server.channel.take_unary_stream(GATEWAY["StreamAgent"])
    end(ended)
    second, call = server.begins(QUEUED, HEL)
    end(call)
    assert first == second
    assert first.request_id
    request, call = server.streams(QUEUED, HEL, LO, ENDED)
    end(call)
    assert (request.run_id, request.after_seq) == ("run_1", 2)
    assert running.result().text == "Hello"


def test_a_stream_that_is_left_before_its_first_event_frees_the_call(
    server: Server, client: Weft, beside: Callable[..., "Future[Any]"]
) -> None:
    def look() -> str:
        with client.stream("Hello") as stream:
            return stream.run_id

    looking = beside(look)
    _, call = server.begins()
    assert looking.result() == "run_1"
    assert call_was_freed(call)


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL])
def test_a_stream_that_was_cut_goes_on_behind_its_last_event(
    server: Server, client: Weft, beside: Callable[..., "Future[Any]"], code: grpc.StatusCode
) -> None:
    seen: Queue[RunEvent] = Queue()

    def watch() -> None:
        for event in client.events("run_1"):
            seen.put(event.proto)

    watching = beside(watch)
    _, call = server.streams(QUEUED, HEL)
    assert [seen.get(), seen.get()] == [QUEUED, HEL]
    end(call, code)
    request, call = server.streams(HEL, LO)
    assert seen.get() == LO
    end(call)
    assert request.after_seq == 2
    request, call = server.streams(ENDED)
    assert request.after_seq == 3
    assert seen.get() == ENDED
    end(call)
    watching.result()


def test_the_error_of_a_stream_has_what_grpc_said_as_its_cause(
    server: Server, client: Weft, beside: Callable[..., "Future[Any]"]
) -> None:
    watching = beside(client.events("run_1").answer)
    _, call = server.streams()
    end(call, grpc.StatusCode.NOT_FOUND)
    with pytest.raises(NotFoundError) as refused:
        watching.result()
    assert isinstance(refused.value.__cause__, grpc.RpcError)


def call_was_freed(call: Any) -> bool:
    return bool(call.cancelled() is None)


def test_leaving_the_loop_frees_the_call(server: Server, client: Weft, beside: Callable[..., "Future[Any]"]) -> None:
    def first() -> Event:
        for event in client.events("run_1"):
            return event
        raise AssertionError

    leaving = beside(first)
    _, call = server.streams(QUEUED)
    assert leaving.result().seq == 1
    assert call_was_freed(call)


def test_an_interrupt_in_the_middle_frees_the_call(
    server: Server, client: Weft, beside: Callable[..., "Future[Any]"]
) -> None:
    def interrupted() -> None:
        with client.events("run_1") as stream:
            next(stream)
            raise KeyboardInterrupt

    leaving = beside(interrupted)
    _, call = server.streams(QUEUED)
    with pytest.raises(KeyboardInterrupt):
        leaving.result()
    assert call_was_freed(call)


def test_a_silent_stream_is_opened_anew(server: Server, beside: Callable[..., "Future[Any]"]) -> None:
    client = Weft(api_key="key", channel=server.channel, patience=Patience(silence_seconds=0.5))
    watching = beside(lambda: [event.seq for event in client.events("run_1")])
    _, silent = server.streams(QUEUED)
    request, call = server.streams(HEL, LO, ENDED)
    end(call)
    assert request.after_seq == 1
    assert call_was_freed(silent)
    assert watching.result() == [1, 2, 3, 4]


def test_a_stream_that_does_not_end_behind_the_last_event_is_left(
    server: Server, client: Weft, beside: Callable[..., "Future[Any]"]
) -> None:
    watching = beside(lambda: [event.seq for event in client.events("run_1")])
    _, call = server.streams(QUEUED, HEL, LO, ENDED)
    assert watching.result() == [1, 2, 3, 4]
    assert call_was_freed(call)


def test_a_slow_reader_is_not_taken_for_a_silent_stream(server: Server, beside: Callable[..., "Future[Any]"]) -> None:
    client = Weft(api_key="key", channel=server.channel, patience=Patience(silence_seconds=1.0))
    reading = threading.Event()

    def slowly() -> list[int]:
        seen = []
        for event in client.events("run_1"):
            seen.append(event.seq)
            if event.seq == 1:
                reading.wait(1.5)
        return seen

    watching = beside(slowly)
    _, call = server.streams(QUEUED, HEL, LO, ENDED)
    end(call)
    assert watching.result() == [1, 2, 3, 4], "a second call would wait for the test for ever"


def test_reads_are_repeated_and_writes_are_not(
    server: Server, client: Weft, beside: Callable[..., "Future[Any]"]
) -> None:
    away = UnavailableError("SERVICE_UNAVAILABLE", "away", retry_after_seconds=0.0)
    reading = beside(client.threads.GetThread, thread_service_pb2.GetThreadRequest(thread_id="thr_1"))
    answer = thread_service_pb2.GetThreadResponse()
    answer.thread.title = "Roses"
    server.answers(THREADS["GetThread"], thread_service_pb2.GetThreadResponse(), away)
    server.answers(THREADS["GetThread"], answer)
    assert reading.result().thread.title == "Roses"
    writing = beside(client.threads.CreateThread, thread_service_pb2.CreateThreadRequest())
    server.answers(THREADS["CreateThread"], thread_service_pb2.CreateThreadResponse(), away)
    with pytest.raises(UnavailableError, match="SERVICE_UNAVAILABLE"):
        writing.result()


def test_a_refusal_arrives_as_what_it_is(server: Server, client: Weft, beside: Callable[..., "Future[Any]"]) -> None:
    running = beside(client.run, "Hello")
    server.refuses(ResourceExhaustedError("ACTIVE_RUN_LIMIT", "as many runs as it may", retry_after_seconds=2.0))
    with pytest.raises(ResourceExhaustedError) as raised:
        running.result()
    assert (raised.value.reason, raised.value.retry_after_seconds) == ("ACTIVE_RUN_LIMIT", 2.0)


def test_a_run_that_is_not_there_is_not_waited_for(
    server: Server, client: Weft, beside: Callable[..., "Future[Any]"]
) -> None:
    watching = beside(lambda: list(client.events("run_1")))
    _, call = server.streams()
    status = to_status(NotFoundError("RUN_NOT_FOUND", "no such run"))
    call.terminate(status.trailing_metadata, status.code, status.details)
    with pytest.raises(NotFoundError, match="RUN_NOT_FOUND"):
        watching.result()


def test_a_superseded_run_is_followed_when_asked(
    server: Server, client: Weft, beside: Callable[..., "Future[Any]"]
) -> None:
    taken = RunEvent(run_id="run_1", seq=2, run_superseded=pb.RunSuperseded(successor_run_id="run_2"))
    running = beside(client.run, "Hello", follow=True)
    _, call = server.begins(QUEUED, taken)
    end(call)
    other = [RunEvent.FromString(event.SerializeToString()) for event in (QUEUED, HEL, LO, ENDED)]
    for event in other:
        event.run_id = "run_2"
    request, call = server.streams(*other)
    end(call)
    assert (request.run_id, request.after_seq) == ("run_2", 0)
    answer = running.result()
    assert (answer.text, answer.run_id) == ("Hello", "run_2")

    running = beside(client.run, "Hello")
    _, call = server.begins(QUEUED, taken)
    end(call)
    with pytest.raises(RunSupersededError) as raised:
        running.result()
    assert raised.value.successor_run_id == "run_2"


def test_a_closed_client_says_so(server: Server, client: Weft) -> None:
    client.close()
    with pytest.raises(ClientClosedError, match="the client is closed"):
        client.start("Hello")
    with pytest.raises(ClientClosedError):
        list(client.events("run_1"))


def test_a_client_that_is_closed_does_not_go_on_trying(server: Server, beside: Callable[..., "Future[Any]"]) -> None:
    client = Weft(api_key="key", channel=server.channel)
    watching = beside(lambda: list(client.events("run_1")))
    _, call = server.streams(QUEUED)
    busy = to_status(UnavailableError("SERVICE_UNAVAILABLE", "away", retry_after_seconds=50.0))
    call.terminate(busy.trailing_metadata, busy.code, busy.details)
    client.close()
    with pytest.raises(ClientClosedError):
        watching.result()


def test_wait_asks_until_the_run_has_ended(server: Server, client: Weft, beside: Callable[..., "Future[Any]"]) -> None:
    waiting = beside(client.wait, "run_1")
    for state in (RunState.RUN_STATE_QUEUED, RunState.RUN_STATE_RUNNING, RunState.RUN_STATE_SUCCEEDED):
        answer = run_service_pb2.WaitRunResponse()
        answer.run.state = state
        request = server.answers(RUNS["WaitRun"], answer)
        assert (request.run_id, request.timeout.seconds) == ("run_1", 30)
    assert waiting.result().state == 4


def test_cancel_waits_for_the_end_as_long_as_the_contract_lets_it(
    server: Server, client: Weft, beside: Callable[..., "Future[Any]"]
) -> None:
    cancelling = beside(client.cancel, "run_1", wait=60)
    answer = run_service_pb2.CancelRunResponse()
    answer.run.run_id = "run_1"
    assert server.answers(RUNS["CancelRun"], answer).wait.seconds == 5
    assert cancelling.result().run_id == "run_1"


def test_a_bare_cancelled_is_told_when_it_does_not_pass(server: Server, beside: Callable[..., "Future[Any]"]) -> None:
    client = Weft(api_key="key", channel=server.channel, patience=Patience(first_seconds=0.0))
    watching = beside(lambda: list(client.events("run_1")))
    _, call = server.streams()
    end(call, grpc.StatusCode.CANCELLED)
    with pytest.raises(CancelledByServerError):
        watching.result()
