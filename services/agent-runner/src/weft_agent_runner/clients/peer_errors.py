"""What a failed call of another service means here."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from weft_grpckit.status import from_rpc_error

from weft_agent_runner.domain.entry import RunLostError
from weft_agent_runner.domain.ports import (
    LeaseExpiredError,
    PeerFaultError,
    PeerRefusedError,
    PeerSlowError,
    PeerUnavailableError,
    RunnerUnknownError,
)

_AWAY = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.UNAUTHENTICATED,  # a replica with another key, or a clock that is off: another try may do
}
_FAULTS = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS}
_MEANINGS: dict[str, type[Exception]] = {
    "RUNNER_UNKNOWN": RunnerUnknownError,
    "LEASE_EXPIRED": LeaseExpiredError,
    "EPOCH_STALE": RunLostError,
    "RUN_NOT_FOUND": RunLostError,
}


@contextmanager
def peer_errors() -> Iterator[None]:
    """Turn the failure of a call into what it means; one that means nothing special is a PeerUnavailableError."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise meaning_of(error) from None
    except asyncio.CancelledError:
        # grpc.aio raises this also when the peer ended the call as cancelled, and nobody cancelled the task.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise PeerUnavailableError("the peer broke off the call") from None


def meaning_of(error: grpc.aio.AioRpcError) -> Exception:
    told = from_rpc_error(error)
    text = f"{error.code().name}: {error.details() or ''}"[:500]
    if told is not None and told.reason in _MEANINGS:
        return _MEANINGS[told.reason](text)
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return PeerSlowError(text)
    if error.code() in _AWAY:
        return PeerUnavailableError(text)
    return PeerFaultError(text) if error.code() in _FAULTS else PeerRefusedError(text)
