"""`Weft`: the client for synchronous code."""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import grpc
from weft.gateway.v1.agent_gateway_service_pb2 import InitiateAgentResponse, ThreadCursor
from weft.runs.v1.run_pb2 import Run
from weft.runs.v1.run_service_pb2 import GetRunRequest

from weft_client.answer import Answer
from weft_client.channel import TermsChannel, open_channel
from weft_client.patience import Patience
from weft_client.services import Services
from weft_client.stream import RunStream
from weft_client.terms import (
    DEFAULT_SECONDS,
    BusyStrategyName,
    RunWait,
    cancel_request,
    initiate_request,
    terms_of,
)
from weft_client.thread_stream import ThreadStream
from weft_client.thread_watch import ThreadWatch
from weft_client.watch import WatchPlan


class Weft(Services):
    """Starts runs, watches them, stops them. Its threads may share it; close it, or use it in `with`.

    `address` is `host:port`, or `https://host` for TLS with the system's authorities; `credentials` for any other TLS.
    Address and key default to the environment's WEFT_ADDRESS and WEFT_API_KEY. `timeout` is the time of a call with one
    answer, all its tries included, unless the call says another. `channel` takes the place of one made here.

    The services' own methods are attributes: `client.threads.GetThread(…)`. All errors are `WeftError`.
    """

    def __init__(
        self,
        address: str | None = None,
        api_key: str | None = None,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        timeout: float = DEFAULT_SECONDS,
        patience: Patience = Patience(),  # noqa: B008 it is frozen
        channel: grpc.Channel | None = None,
    ) -> None:
        self._terms = terms_of(address, api_key, timeout, patience, channel is not None)
        self._on_terms = TermsChannel(channel or open_channel(self._terms, credentials), self._terms)
        super().__init__(self._on_terms)

    def run(
        self,
        text: str,
        *,
        thread: str = "",
        agent: str = "",
        project: str = "",
        request_id: str = "",
        busy_strategy: BusyStrategyName | None = None,
        attachments: Mapping[str, bytes] | None = None,
        follow: bool = False,
        timeout: float | None = None,
    ) -> Answer:
        """Have a message answered. Without `thread` it begins a new one; `Answer.thread_id` goes on with it.

        `timeout` bounds the wait for the answer, not the run. `follow` waits for the run that takes this one over, if
        one does. Raises: RunError: the run ended without an answer.
        """
        with self.stream(
            text,
            thread=thread,
            agent=agent,
            project=project,
            request_id=request_id,
            busy_strategy=busy_strategy,
            attachments=attachments,
            follow=follow,
            timeout=timeout,
        ) as stream:
            return stream.answer()

    def stream(
        self,
        text: str,
        *,
        thread: str = "",
        agent: str = "",
        project: str = "",
        request_id: str = "",
        busy_strategy: BusyStrategyName | None = None,
        attachments: Mapping[str, bytes] | None = None,
        follow: bool = False,
        timeout: float | None = None,
    ) -> RunStream:
        """Have a message answered, and see it happen. The run starts with the first event, or on entering `with`.

        `request_id` is the key under which the start can be repeated; one is made if none is given. `attachments`
        are files by their names: text, Markdown, HTML, PDF. `timeout` bounds the watch, not the run.
        """
        request = initiate_request(
            text,
            thread=thread,
            agent=agent,
            project=project,
            request_id=request_id,
            busy_strategy=busy_strategy,
            attachments=attachments,
        )
        return self._stream(WatchPlan(initiate=request, follow=follow, timeout=timeout))

    def events(
        self, run_id: str, *, after_seq: int = 0, follow: bool = False, timeout: float | None = None
    ) -> RunStream:
        """Watch a run from any point of it, while it goes on or long after."""
        return self._stream(WatchPlan(run_id=run_id, after_seq=after_seq, follow=follow, timeout=timeout))

    def thread_events(
        self,
        thread_id: str,
        *,
        after: ThreadCursor | None = None,
        from_now: bool = False,
        timeout: float | None = None,
    ) -> ThreadStream:
        """Watch the whole life of a thread: its own events, and those of its runs between.

        `after` is the `cursor` of the last item that the caller has; without it the watch begins with the first event,
        or with the next one if `from_now`.
        """
        until = None if timeout is None else time.monotonic() + timeout
        watch = ThreadWatch(thread_id, after, self._terms.outage(), from_now=from_now, until=until)
        return ThreadStream(self, self._on_terms, watch, self._terms.patience.silence_seconds)

    def start(
        self,
        text: str,
        *,
        thread: str = "",
        agent: str = "",
        project: str = "",
        request_id: str = "",
        busy_strategy: BusyStrategyName | None = None,
        attachments: Mapping[str, bytes] | None = None,
        timeout: float | None = None,
    ) -> InitiateAgentResponse:
        """Start a run and return its ids at once."""
        request = initiate_request(
            text,
            thread=thread,
            agent=agent,
            project=project,
            request_id=request_id,
            busy_strategy=busy_strategy,
            attachments=attachments,
        )
        return self.gateway.InitiateAgent(request, timeout=timeout)

    def get_run(self, run_id: str) -> Run:
        return self.runs.GetRun(GetRunRequest(run_id=run_id)).run

    def wait(self, run_id: str, *, timeout: float | None = None) -> Run:
        """Return a run once it has ended, however. Raises: DeadlineExceededError: not in `timeout` seconds."""
        wait = RunWait(run_id, timeout, self._terms, time.monotonic())
        while True:
            now = time.monotonic()
            run = self.runs.WaitRun(wait.request(now), timeout=wait.seconds(now)).run
            if wait.is_over(run, time.monotonic()):
                return run

    def cancel(self, run_id: str, *, wait: float = 5.0) -> Run:
        """Stop a run and return it; the answer is held for up to `wait` seconds, at most 5, until it has ended."""
        return self.runs.CancelRun(cancel_request(run_id, wait)).run

    def close(self) -> None:
        """End all calls and the connection. Streams that are open raise ClientClosedError; runs go on."""
        self._on_terms.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def _stream(self, plan: WatchPlan) -> RunStream:
        return RunStream(self, self._on_terms, self._terms, plan)
