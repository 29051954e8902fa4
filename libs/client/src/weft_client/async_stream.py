"""The events of a run, for asyncio."""

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self

from weft.gateway.v1.agent_gateway_service_pb2 import InitiateAgentResponse

from weft_client.answer import Answer, AnswerSoFar
from weft_client.async_channel import AsyncTermsChannel
from weft_client.async_follow import follow, read
from weft_client.errors import WeftError
from weft_client.events import Event
from weft_client.patience import Tries
from weft_client.services import AsyncServices
from weft_client.terms import Terms
from weft_client.watch import Watch, WatchPlan, started_by


class AsyncRunStream:
    """Iterate over it: each event once, in order, over lost connections, to the run's end.

    A stream that starts a run does so with its first event, or on entering `async with`. Leaving `async with`,
    `aclose`, a cancelled task and a `break` that drops the last reference free the call; the run goes on. One task at
    a time.
    """

    def __init__(self, services: AsyncServices, channel: AsyncTermsChannel, terms: Terms, plan: WatchPlan) -> None:
        self._so_far = AnswerSoFar(plan.run_id)
        self._source = _Source(services, channel, terms, plan, self._so_far)
        # Knows the source but not this stream: so the event loop closes it when the stream is dropped.
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

    async def answer(self) -> Answer:
        """Take the rest of the events and return what they add up to.

        Raises: RunError: the run ended without an answer. DeadlineExceededError: the time given was over before.
        """
        async for _ in self:
            pass
        return self._so_far.result()

    async def aclose(self) -> None:
        """Free the call. The run goes on."""
        await self._events.aclose()
        self._source.close()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        event = await anext(self._events)
        self._so_far.add(event)
        return event

    async def __aenter__(self) -> Self:
        await self._source.begin()
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self.aclose()


class _Source:
    """Starts the run where it is to be started, and gives its events over as many calls as it takes."""

    def __init__(
        self, services: AsyncServices, channel: AsyncTermsChannel, terms: Terms, plan: WatchPlan, so_far: AnswerSoFar
    ) -> None:
        self._services, self._channel, self._terms = services, channel, terms
        self._plan, self._so_far = plan, so_far
        self._until: float | None = None
        self._is_begun = False
        self._open: Any = None  # the call that started the run, until its events are asked for

    async def begin(self) -> None:
        """Start the run, where one is to be started: its ids are there then."""
        if self._is_begun:
            return
        now = time.monotonic()
        self._until = self._plan.until(now)
        if self._plan.initiate is not None:
            until = now + self._plan.start_seconds(self._terms.timeout)
            tries = Tries(self._terms.outage(), is_repeatable=True, until=until)
            while self._open is None:
                self._open = await self._start(tries)
        self._is_begun = True

    async def _start(self, tries: Tries) -> Any:
        """Return a call whose first response has come; None when it failed and is to be made again."""
        now = time.monotonic()
        timeout = None if self._until is None else max(self._until - now, 0.0)
        call = self._services.gateway.StreamAgent(self._plan.start_request(), timeout=timeout)
        try:
            first = await read(call, tries.remaining(now))
            self._so_far.begin(started_by(first or None))
            return call
        except WeftError as error:
            call.cancel()
            await self._channel.pause(tries.failed(error, time.monotonic()))
            return None
        except BaseException:
            call.cancel()
            raise

    def close(self) -> None:
        if self._open is not None:
            self._open.cancel()

    async def events(self) -> AsyncGenerator[Event, None]:
        await self.begin()
        plan = self._plan
        watch = Watch(self._so_far.run_id, plan.after_seq, self._terms.outage(), follow=plan.follow, until=self._until)

        def open_call(seconds: float | None) -> Any:
            call, self._open = self._open, None
            return call or self._services.gateway.RunEvents(watch.request(), timeout=seconds)

        silence_seconds = self._terms.patience.silence_seconds
        async with aclosing(follow(watch, open_call, self._channel, silence_seconds)) as events:
            async for event in events:
                yield event
