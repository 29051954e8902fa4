"""The events of a run, for synchronous code."""

import time
from collections.abc import Generator, Iterator
from types import TracebackType
from typing import Any, Self

from weft.gateway.v1.agent_gateway_service_pb2 import InitiateAgentResponse

from weft_client.answer import Answer, AnswerSoFar
from weft_client.channel import TermsChannel
from weft_client.errors import WeftError
from weft_client.events import Event
from weft_client.follow import follow
from weft_client.patience import Tries
from weft_client.services import Services
from weft_client.silence import SilenceGuard
from weft_client.terms import Terms
from weft_client.watch import Watch, WatchPlan, started_by


class RunStream:
    """Iterate over it: each event once, in order, over lost connections, to the run's end.

    A stream that starts a run does so with its first event, or on entering `with`. Leaving `with`, `close` and a
    `break` that drops the last reference free the call; the run goes on. One thread at a time.
    """

    def __init__(self, services: Services, channel: TermsChannel, terms: Terms, plan: WatchPlan) -> None:
        self._so_far = AnswerSoFar(plan.run_id)
        self._source = _Source(services, channel, terms, plan, self._so_far)
        # Knows the source but not this stream: so it is closed when the stream is dropped.
        self._events = self._source.events()

    @property
    def started(self) -> InitiateAgentResponse | None:
        """What the start gave: ids, state and place of the run. None before it, and where a run is only watched."""
        return self._so_far.started

    @property
    def run_id(self) -> str:
        """The run, or its successor once that is followed; empty before the start."""
        return self._so_far.run_id

    @property
    def text(self) -> str:
        """The text so far of the newest message; what was discarded is not in it."""
        return self._so_far.text

    def answer(self) -> Answer:
        """Take the rest of the events and return what they add up to.

        Raises: RunError: the run ended without an answer. DeadlineExceededError: the time given was over before.
        """
        for _ in self:
            pass
        return self._so_far.result()

    def close(self) -> None:
        """Free the call. The run goes on."""
        self._events.close()
        self._source.close()

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        event = next(self._events)
        self._so_far.add(event)
        return event

    def __enter__(self) -> Self:
        self._source.begin()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()


class _Source:
    """Starts the run where it is to be started, and gives its events over as many calls as it takes."""

    def __init__(
        self, services: Services, channel: TermsChannel, terms: Terms, plan: WatchPlan, so_far: AnswerSoFar
    ) -> None:
        self._services, self._channel, self._terms = services, channel, terms
        self._plan, self._so_far = plan, so_far
        self._until: float | None = None
        self._is_begun = False
        self._open: Any = None  # the call that started the run, until its events are asked for

    def begin(self) -> None:
        """Start the run, where one is to be started: its ids are there then."""
        if self._is_begun:
            return
        now = time.monotonic()
        self._until = self._plan.until(now)
        if self._plan.initiate is not None:
            until = now + self._plan.start_seconds(self._terms.timeout)
            tries = Tries(self._terms.outage(), is_repeatable=True, until=until)
            while self._open is None:
                self._open = self._start(tries)
        self._is_begun = True

    def _start(self, tries: Tries) -> Any:
        """Return a call whose first response has come; None when it failed and is to be made again."""
        now = time.monotonic()
        timeout = None if self._until is None else max(self._until - now, 0.0)
        call = self._services.gateway.StreamAgent(self._plan.start_request(), timeout=timeout)
        try:
            with SilenceGuard(call, tries.remaining(now)) as guard:
                self._so_far.begin(started_by(next(guard.responses(), None)))
            return call
        except WeftError as error:
            call.cancel()
            self._channel.pause(tries.failed(error, time.monotonic()))
            return None
        except BaseException:
            call.cancel()
            raise

    def close(self) -> None:
        if self._open is not None:
            self._open.cancel()

    def events(self) -> Generator[Event, None, None]:
        self.begin()
        plan = self._plan
        watch = Watch(self._so_far.run_id, plan.after_seq, self._terms.outage(), follow=plan.follow, until=self._until)

        def open_call(seconds: float | None) -> Any:
            call, self._open = self._open, None
            return call or self._services.gateway.RunEvents(watch.request(), timeout=seconds)

        yield from follow(watch, open_call, self._channel, self._terms.patience.silence_seconds)
