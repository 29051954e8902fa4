"""The run queue of threads."""

import os
import socket
from collections.abc import Sequence

import grpc
from weft.runs.v1 import run_queue_service_pb2 as pb
from weft.runs.v1 import run_queue_service_pb2_grpc as pb_grpc
from weft.threads.v1 import message_pb2
from weft_grpckit.status import reason_of
from weft_grpckit.tokens import token_metadata

from weft_agent_runner.clients import convert, written
from weft_agent_runner.clients.peer_errors import peer_errors
from weft_agent_runner.domain.entry import Entry, EntryResult
from weft_agent_runner.domain.model import ModelMessage, ModelUsage
from weft_agent_runner.domain.ports import BatchRefusedError, Heartbeat, Registration
from weft_agent_runner.domain.run import ClaimedRun, RunKey

_HEARTBEAT_SECONDS = 2.0
_CALL_SECONDS = 5.0
_COMMIT_SECONDS = 15.0  # longer than a statement of threads may wait for a lock
_CLAIM_SECONDS = 10.0  # the runs of a claim are taken up one after the other
_CONTEXT_SECONDS = 30.0
_CLAIM_LIMIT = 100  # of the contract


class GrpcRunQueue:
    def __init__(self, channel: grpc.aio.Channel, host: str = "") -> None:
        self._stub = pb_grpc.RunQueueServiceStub(channel)
        self._host = host or f"{socket.gethostname()} {os.getpid()}"

    async def register(self) -> Registration:
        with peer_errors():
            response = await self._stub.RegisterRunner(pb.RegisterRunnerRequest(host=self._host), timeout=_CALL_SECONDS)
        return Registration(
            response.runner_id,
            convert.seconds_of(response.lease),
            convert.seconds_of(response.heartbeat_interval),
        )

    async def heartbeat(self, runner_id: str) -> Heartbeat:
        request = pb.HeartbeatRequest(runner_id=runner_id)
        with peer_errors():
            response = await self._stub.Heartbeat(request, timeout=_HEARTBEAT_SECONDS)
        return Heartbeat(
            convert.seconds_of(response.lease), tuple(convert.owned_run(run) for run in response.owned_runs)
        )

    async def claim(self, runner_id: str, max_runs: int, wait_seconds: float = 0.0) -> Sequence[ClaimedRun]:
        request = pb.ClaimRunsRequest(runner_id=runner_id, max_runs=min(max_runs, _CLAIM_LIMIT))
        if wait_seconds:
            request.wait.CopyFrom(written.duration(wait_seconds))
        with peer_errors():
            response = await self._stub.ClaimRuns(request, timeout=_CLAIM_SECONDS)
        return [convert.claimed_run(run) for run in response.runs]

    async def commit(self, runner_id: str, entries: Sequence[Entry]) -> Sequence[EntryResult]:
        request = pb.CommitRequest(runner_id=runner_id, entries=[written.commit_entry(entry) for entry in entries])
        with peer_errors():
            try:
                response = await self._stub.Commit(request, timeout=_COMMIT_SECONDS)
            except grpc.aio.AioRpcError as error:
                if _is_refused(error):
                    raise BatchRefusedError(error.details() or "refused") from None
                raise
        return [convert.entry_result(result) for result in response.results]

    async def release(self, runner_id: str, runs: Sequence[RunKey]) -> int:
        request = pb.ReleaseRequest(runner_id=runner_id, runs=[written.owned_run(key) for key in runs])
        with peer_errors():
            response = await self._stub.Release(request, timeout=_CALL_SECONDS)
        return response.released

    async def read_context(self, run: ClaimedRun) -> tuple[ModelMessage, ...]:
        request = pb.ReadContextRequest(run_id=run.key.run_id, epoch=run.key.epoch)
        call = self._stub.ReadContext(request, timeout=_CONTEXT_SECONDS, metadata=token_metadata(run.token))
        messages: list[message_pb2.ContextMessage] = []
        try:
            with peer_errors():
                async for response in call:
                    messages.extend(response.context)
        finally:
            if not call.done():
                call.cancel()
        return convert.context(messages)

    async def get_model_key(self, run: ClaimedRun) -> str:
        """Return what the run's tenant wants its model calls to be paid with; empty for the installation's key."""
        with peer_errors():
            response = await self._stub.GetModelKey(
                pb.GetModelKeyRequest(), timeout=_CALL_SECONDS, metadata=token_metadata(run.token)
            )
        return response.api_key

    async def offer_title(
        self, run: ClaimedRun, title: str, model: str, usage: ModelUsage | None, cost_micros: int | None
    ) -> bool:
        request = pb.OfferTitleRequest(run_id=run.key.run_id, title=title, model=model, cost_micros=cost_micros)
        if usage is not None:
            request.usage.CopyFrom(written.model_usage(usage))
        with peer_errors():
            response = await self._stub.OfferTitle(request, timeout=_CALL_SECONDS, metadata=token_metadata(run.token))
        return response.is_taken


def _is_refused(error: grpc.aio.AioRpcError) -> bool:
    """Also one too large for gRPC itself, which says so without a reason."""
    is_too_large = error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and not reason_of(error)
    return is_too_large or error.code() is grpc.StatusCode.INVALID_ARGUMENT
