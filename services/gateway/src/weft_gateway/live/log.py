"""The log of runs as the gateway reads it: what many watchers want at once is read once."""

import asyncio
import random
from collections.abc import Sequence
from contextvars import Context as EmptyContext
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from uuid import UUID

import grpc
from weft.runs.v1 import run_log_service_pb2 as pb
from weft.runs.v1 import run_log_service_pb2_grpc as rpc
from weft_core.caller import Caller
from weft_core.errors import UnavailableError, WeftError
from weft_grpckit.error_table import peer_error
from weft_grpckit.tokens import TokenSigner, token_metadata

from weft_gateway.live.frames import response_of
from weft_gateway.live.hub import RunKey

_CALL_SECONDS: Final = 10.0
_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 1.0
_MAX_HEADS: Final = 10_000
_GATEWAY: Final = "gateway"

# Tenant, run, after which seq, whether a deleted thread's run is served.
_Key: TypeAlias = tuple[UUID, str, int, bool]


@dataclass(frozen=True, slots=True)
class Page:
    """Events after a seq as a response; `last_seq` is that of the last, or the seq asked for when there are none."""

    response: bytes
    last_seq: int
    head_seq: int
    is_ended: bool


class RunLog:
    """Reads the log of threads with the rights of whoever watches."""

    def __init__(self, channel: grpc.aio.Channel, signer: TokenSigner) -> None:
        self._stub = rpc.RunLogServiceStub(channel)
        self._signer = signer
        self._next: dict[_Key, asyncio.Task[Page]] = {}
        self._under_way: dict[_Key, asyncio.Task[Page]] = {}

    async def read(self, caller: Caller, run_id: str, after_seq: int, *, serve_deleted: bool, patience: float) -> Page:
        """Return the next page of a run's log; tries again for `patience` seconds while threads cannot be reached.

        Raises: NotFoundError RUN_NOT_FOUND, OutOfRangeError CURSOR_OUT_OF_RANGE, UnavailableError.
        """
        loop = asyncio.get_running_loop()
        end, pause = loop.time() + patience, _FIRST_PAUSE_SECONDS
        while True:
            try:
                return await self._read_once(caller, run_id, after_seq, serve_deleted)
            except UnavailableError:
                if loop.time() + pause > end:
                    raise
            await asyncio.sleep(pause * random.uniform(0.5, 1))
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    async def get_heads(self, runs: Sequence[RunKey]) -> list[tuple[str, int]]:
        """Return the newest seq of each of these runs that exists."""
        metadata = token_metadata(self._signer.service_token(_GATEWAY))
        found: list[tuple[str, int]] = []
        for start in range(0, len(runs), _MAX_HEADS):
            keys = [pb.RunKey(tenant_id=tenant, run_id=run) for tenant, run in runs[start : start + _MAX_HEADS]]
            call: Any = self._stub.GetHeads(pb.GetHeadsRequest(runs=keys), timeout=_CALL_SECONDS, metadata=metadata)
            response = await _answer(call)
            found += [(head.run_id, head.last_seq) for head in response.heads]
        return found

    async def _read_once(self, caller: Caller, run_id: str, after_seq: int, serve_deleted: bool) -> Page:
        """Read a page that shows at least what the log holds now: a read that has begun already may show less."""
        key = caller.tenant_id, run_id, after_seq, serve_deleted
        reading = self._next.get(key)
        if reading is None:
            # Its own context: the deadline of the first watcher must not fail the others.
            reading = asyncio.create_task(self._page_in_turn(caller, key), context=EmptyContext())
            reading.add_done_callback(lambda task: task.cancelled() or task.exception())  # looked at, whoever waits
            self._next[key] = reading
        return await asyncio.shield(reading)

    async def _page_in_turn(self, caller: Caller, key: _Key) -> Page:
        while (under_way := self._under_way.get(key)) is not None:
            await asyncio.wait((under_way,))
        self._under_way[key] = self._next.pop(key)
        try:
            return await self._page(caller, *key[1:])
        finally:
            del self._under_way[key]

    async def _page(self, caller: Caller, run_id: str, after_seq: int, serve_deleted: bool) -> Page:
        # Minted anew for each read: a watch outlives any token.
        token = self._signer.caller_token(caller.tenant_id, caller.principal, caller.scopes)
        request = pb.ReadEventsRequest(run_id=run_id, after_seq=after_seq, serve_deleted=serve_deleted)
        call: Any = self._stub.ReadEvents(request, timeout=_CALL_SECONDS, metadata=token_metadata(token))
        page = await _answer(call)
        last_seq = after_seq + len(page.events)
        return Page(response_of(page.events), last_seq, max(page.last_seq, last_seq), page.is_ended)


async def _answer(call: Any) -> Any:
    """Await a call. Raises: what its error means; a peer that is too slow is unavailable like one that is gone."""
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        told = peer_error(error)
        if told is None:
            raise
        raise _unavailable_if_late(told) from None


def _unavailable_if_late(error: WeftError) -> WeftError:
    if error.reason != "DEADLINE_EXCEEDED":
        return error
    return UnavailableError("SERVICE_UNAVAILABLE", "the log does not answer in time", retry_after_seconds=1.0)
