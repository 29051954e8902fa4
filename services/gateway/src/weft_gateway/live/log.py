"""The logs of runs and threads as the gateway reads them, with the rights of whoever watches."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from uuid import UUID

import grpc
from weft.runs.v1 import run_log_service_pb2 as pb
from weft.runs.v1 import run_log_service_pb2_grpc as rpc
from weft_core.caller import Caller
from weft_grpckit.tokens import TokenSigner, token_metadata

from weft_gateway.live.frames import response_of
from weft_gateway.live.hub import WatchKey
from weft_gateway.live.shared_reads import CALL_SECONDS, SharedReads, answer, patiently
from weft_gateway.live.thread_frames import ThreadItem, thread_item

_MAX_HEADS: Final = 10_000
_GATEWAY: Final = "gateway"
_THREAD: Final = "thr_"

# Tenant, run, after which seq, whether a deleted thread's run is served.
_Key: TypeAlias = tuple[UUID, str, int, bool]
# The same of a thread; None for its end. And whether the open run is told.
_ThreadKey: TypeAlias = tuple[UUID, str, int | None, bool, bool]


@dataclass(frozen=True, slots=True)
class Page:
    """Events after a seq as a response; `last_seq` is that of the last, or the seq asked for when there are none."""

    response: bytes
    last_seq: int
    head_seq: int
    is_ended: bool


@dataclass(frozen=True, slots=True)
class ThreadPage:
    """Events of a thread after a seq; where its log ends; the run that went on at that seq, where asked for."""

    items: Sequence[ThreadItem]
    head_seq: int
    open_run_id: str


class EventLog:
    def __init__(self, channel: grpc.aio.Channel, signer: TokenSigner) -> None:
        self._stub = rpc.RunLogServiceStub(channel)
        self._signer = signer
        self._reads: SharedReads[_Key, Page] = SharedReads()
        self._thread_reads: SharedReads[_ThreadKey, ThreadPage] = SharedReads()

    async def read(self, caller: Caller, run_id: str, after_seq: int, *, serve_deleted: bool, patience: float) -> Page:
        """Return the next page of a run's log; tries again for `patience` seconds while threads cannot be reached.

        Raises: NotFoundError RUN_NOT_FOUND, OutOfRangeError CURSOR_OUT_OF_RANGE, UnavailableError.
        """
        key = caller.tenant_id, run_id, after_seq, serve_deleted
        return await patiently(patience, lambda: self._reads.get(key, lambda: self._page(caller, *key[1:])))

    async def read_thread(
        self,
        caller: Caller,
        thread_id: str,
        after_seq: int | None,
        *,
        with_open_run: bool,
        serve_deleted: bool,
        patience: float,
    ) -> ThreadPage:
        """Return the next page of a thread's log, None reads only where it ends; patient like `read`.

        Raises: NotFoundError THREAD_NOT_FOUND, OutOfRangeError CURSOR_OUT_OF_RANGE, UnavailableError.
        """
        key = caller.tenant_id, thread_id, after_seq, with_open_run, serve_deleted
        once = self._thread_reads.get
        return await patiently(patience, lambda: once(key, lambda: self._thread_page(caller, *key[1:])))

    async def get_heads(self, watched: Sequence[WatchKey]) -> list[tuple[str, int]]:
        """Return the newest seq of each of these runs and threads that exists."""
        metadata = token_metadata(self._signer.service_token(_GATEWAY))
        found: list[tuple[str, int]] = []
        for start in range(0, len(watched), _MAX_HEADS):
            request = _heads_request(watched[start : start + _MAX_HEADS])
            call: Any = self._stub.GetHeads(request, timeout=CALL_SECONDS, metadata=metadata)
            response = await answer(call)
            found += [(head.run_id, head.last_seq) for head in response.heads]
            found += [(head.thread_id, head.last_seq) for head in response.thread_heads]
        return found

    async def _page(self, caller: Caller, run_id: str, after_seq: int, serve_deleted: bool) -> Page:
        request = pb.ReadEventsRequest(run_id=run_id, after_seq=after_seq, serve_deleted=serve_deleted)
        call: Any = self._stub.ReadEvents(request, timeout=CALL_SECONDS, metadata=self._metadata(caller))
        page = await answer(call)
        last_seq = after_seq + len(page.events)
        return Page(response_of(page.events), last_seq, max(page.last_seq, last_seq), page.is_ended)

    async def _thread_page(
        self, caller: Caller, thread_id: str, after_seq: int | None, with_open_run: bool, serve_deleted: bool
    ) -> ThreadPage:
        request = pb.ReadThreadEventsRequest(
            thread_id=thread_id,
            after_seq=after_seq or 0,
            from_now=after_seq is None,
            with_open_run=with_open_run,
            serve_deleted=serve_deleted,
        )
        call: Any = self._stub.ReadThreadEvents(request, timeout=CALL_SECONDS, metadata=self._metadata(caller))
        page = await answer(call)
        return ThreadPage([thread_item(event) for event in page.events], page.last_seq, page.open_run_id)

    def _metadata(self, caller: Caller) -> Any:
        """Return the caller's token, minted anew for each read: a watch outlives any token."""
        return token_metadata(self._signer.caller_token(caller.tenant_id, caller.principal, caller.scopes))


def _heads_request(watched: Sequence[WatchKey]) -> pb.GetHeadsRequest:
    threads = [pb.ThreadKey(tenant_id=tenant, thread_id=each) for tenant, each in watched if each.startswith(_THREAD)]
    runs = [pb.RunKey(tenant_id=tenant, run_id=each) for tenant, each in watched if not each.startswith(_THREAD)]
    return pb.GetHeadsRequest(runs=runs, threads=threads)
