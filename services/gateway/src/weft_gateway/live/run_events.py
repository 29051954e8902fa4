"""AgentGateway.RunEvents: the log from any point, then what comes live, to the terminal event."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import aclosing
from typing import Any, Final

import grpc
from weft.gateway.v1 import agent_gateway_service_pb2 as pb
from weft_core.caller import Caller
from weft_core.ids import format_id
from weft_grpckit.context import Context, caller_of
from weft_grpckit.interceptors.validation import validate
from weft_grpckit.program import end_tasks

from weft_gateway.live.frames import keepalive
from weft_gateway.live.hub import Hub
from weft_gateway.live.log import Page, RunLog
from weft_gateway.live.watch import Due, Watch

PATH: Final = "/weft.gateway.v1.AgentGateway/RunEvents"
# What Redis may still bring in another order than it was written.
_GAP_SECONDS: Final = 0.02
# How long a watch waits for threads: a new one lets its caller decide soon, a running one outlives a restart.
_FIRST_PATIENCE_SECONDS: Final = 5.0
_PATIENCE_SECONDS: Final = 60.0


class RunEvents:
    """Serves watches. Responses are bytes, many watchers of a run share theirs."""

    def __init__(self, hub: Hub, log: RunLog, keepalive_seconds: float) -> None:
        self._hub, self._log, self._keepalive_seconds = hub, log, keepalive_seconds

    def handler(self) -> grpc.GenericRpcHandler:
        serve: Any = self._serve
        method: Any = grpc.unary_stream_rpc_method_handler(
            serve,
            request_deserializer=pb.RunEventsRequest.FromString,
            response_serializer=None,
        )
        service, name = PATH.removeprefix("/").split("/")
        return grpc.method_handlers_generic_handler(service, {name: method})

    async def _serve(self, request: pb.RunEventsRequest, context: Context) -> AsyncIterator[bytes]:
        validate(request)
        caller = caller_of(context)
        watch = Watch(format_id("ten", caller.tenant_id), request.run_id, request.after_seq)
        with self._hub.watching(watch):
            await self._hub.subscribe(watch)
            async with aclosing(_Stream(watch, caller, self._log, self._keepalive_seconds).responses()) as responses:
                async for response in responses:
                    yield response


class _Stream:
    """One stream's way through the log and what comes live."""

    __slots__ = ("_caller", "_keepalive_seconds", "_last_sent", "_log", "_must_read", "_reading", "_watch")

    def __init__(self, watch: Watch, caller: Caller, log: RunLog, keepalive_seconds: float) -> None:
        self._watch, self._caller, self._log = watch, caller, log
        self._keepalive_seconds = keepalive_seconds
        self._last_sent = self._now()
        self._reading: asyncio.Task[Page] | None = None
        self._must_read = True

    async def responses(self) -> AsyncGenerator[bytes, None]:
        """Yield responses until the terminal event was in one, keep-alives where there is silence."""
        try:
            is_ended = False
            while not is_ended:
                due = await self._due(self._last_sent + self._keepalive_seconds)
                if due is None:
                    due = Due(keepalive(self._watch.next_seq - 1), is_terminal=False)
                if due.response:
                    yield due.response
                    self._last_sent = self._now()
                is_ended = due.is_terminal
        finally:
            if self._reading is not None:
                await end_tasks((self._reading,))

    async def _due(self, until: float) -> Due | None:
        """Return the next response, None when none came by `until`."""
        while self._reading is None and not self._must_read:
            due = self._watch.take_live()
            if due is not None:
                return due
            if self._watch.is_behind:
                due = await self._gap_closed()
                if due is not None:
                    return due
                self._must_read = True
            elif not await self._watch.news(until - self._now()):
                return None
        return await self._page(until)

    async def _gap_closed(self) -> Due | None:
        """Return what follows if it comes live after all, a little late."""
        end = self._now() + _GAP_SECONDS
        while await self._watch.news(end - self._now()):
            due = self._watch.take_live()
            if due is not None:
                return due
        return None

    async def _page(self, until: float) -> Due | None:
        """Return the next page of the log, None when it did not come by `until`: it stays under way."""
        if self._reading is None:
            self._must_read = False
            self._reading = asyncio.create_task(self._read())
        await asyncio.wait((self._reading,), timeout=max(until - self._now(), 0))
        if not self._reading.done():
            return None
        page, self._reading = self._reading.result(), None
        self._must_read = bool(page.response) and page.last_seq < page.head_seq
        return self._watch.take_logged(page.response, page.last_seq, page.is_ended, page.head_seq)

    def _read(self) -> Coroutine[Any, Any, Page]:
        watch = self._watch
        return self._log.read(
            self._caller,
            watch.run_id,
            watch.next_seq - 1,
            # A watch that was open before the run's thread was deleted is served to its end.
            serve_deleted=watch.is_entitled,
            patience=_PATIENCE_SECONDS if watch.is_entitled else _FIRST_PATIENCE_SECONDS,
        )

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
