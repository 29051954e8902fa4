"""The errors that the SDK raises: the failure of a call as its canonical code, the failure of a run as `RunError`.

All are `WeftError`, with `code`, `reason`, `message`, `metadata`, `violations` and `retry_after_seconds`. `reason` is a
value of `weft.errors.v1.ErrorReason` without its prefix; it is empty where no Weft service answered, as when nothing
listens at the address.
"""

from typing import TYPE_CHECKING, Any, Final

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2
from weft_core.errors import (
    DOMAIN,
    AbortedError,
    AlreadyExistsError,
    CancelledByServerError,
    DeadlineExceededError,
    FailedPreconditionError,
    FieldViolation,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    OutOfRangeError,
    PermissionDeniedError,
    ResourceExhaustedError,
    UnauthenticatedError,
    UnavailableError,
    UnimplementedError,
    WeftError,
)

if TYPE_CHECKING:
    from weft_client.answer import Answer

__all__ = [
    "AbortedError",
    "AlreadyExistsError",
    "CancelledByServerError",
    "ClientClosedError",
    "DataLossError",
    "DeadlineExceededError",
    "FailedPreconditionError",
    "FieldViolation",
    "InternalError",
    "InvalidArgumentError",
    "NotFoundError",
    "OutOfRangeError",
    "PermissionDeniedError",
    "ResourceExhaustedError",
    "RunCancelledError",
    "RunError",
    "RunFailedError",
    "RunSupersededError",
    "RunTimedOutError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnimplementedError",
    "UnknownError",
    "WeftError",
    "error_of",
]

_DETAILS_KEY: Final = "grpc-status-details-bin"


class UnknownError(WeftError):
    """No Weft service answers with it: something between did."""

    code = "UNKNOWN"


class DataLossError(WeftError):
    """No Weft service answers with it: something between did."""

    code = "DATA_LOSS"


class ClientClosedError(WeftError):
    """The client was closed, before the call or in the middle of it."""

    code = "CANCELLED"

    def __init__(self) -> None:
        super().__init__("", "the client is closed")


class RunError(WeftError):
    """A run ended without an answer. The call did not fail: `answer` has the ids, and the text until then."""

    code = "ABORTED"

    def __init__(self, answer: "Answer", reason: str, message: str) -> None:
        super().__init__(reason, message, metadata={"run_id": answer.run_id})
        self.answer = answer

    @property
    def run_id(self) -> str:
        return self.answer.run_id


class RunFailedError(RunError):
    """It ended by an error; `reason` is a value of `weft.runs.v1.FailureReason`, as `MODEL_UNAVAILABLE`."""


class RunCancelledError(RunError):
    """It was stopped; `reason` is a value of `weft.runs.v1.CancelCause`, as `REQUESTED`."""

    code = "CANCELLED"


class RunTimedOutError(RunError):
    """It reached a limit of time; `reason` is a value of `weft.runs.v1.TimeoutCause`, as `RUN`."""

    code = "DEADLINE_EXCEEDED"


class RunSupersededError(RunError):
    """A later message of its thread took it over. `follow=True` goes on with the run that answers both."""

    def __init__(self, answer: "Answer", successor_run_id: str) -> None:
        super().__init__(answer, "SUPERSEDED", f"{answer.run_id} was taken over by {successor_run_id}")
        self.successor_run_id = successor_run_id


_CLASSES: Final[dict[str, type[WeftError]]] = {
    each.code: each
    for each in (
        InvalidArgumentError,
        NotFoundError,
        AlreadyExistsError,
        FailedPreconditionError,
        OutOfRangeError,
        UnauthenticatedError,
        PermissionDeniedError,
        ResourceExhaustedError,
        AbortedError,
        UnavailableError,
        DeadlineExceededError,
        CancelledByServerError,
        UnimplementedError,
        InternalError,
        UnknownError,
        DataLossError,
    )
}


def error_of(fault: grpc.RpcError) -> WeftError:
    """Return the error that a failed call stands for."""
    kind = _CLASSES.get(fault.code().name, UnknownError)
    info, retry, bad = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo(), error_details_pb2.BadRequest()
    found = _unpacked(_status_of(fault), info, retry, bad)
    is_ours = "ErrorInfo" in found and info.domain == DOMAIN
    return kind(
        info.reason if is_ours else "",
        fault.details() or "no answer",
        metadata=dict(info.metadata) if is_ours else {},
        retry_after_seconds=retry.retry_delay.ToMilliseconds() / 1000 if "RetryInfo" in found else None,
        violations=[FieldViolation(each.field, each.description, each.reason) for each in bad.field_violations],
    )


def time_is_over(subject: str) -> DeadlineExceededError:
    """Return the error of a caller who watched a run or a thread, but not long enough."""
    told = f"{subject} has not ended in the time given; it goes on"
    return DeadlineExceededError(
        "", told, metadata={f"{'run' if subject.startswith('run_') else 'thread'}_id": subject}
    )


def _status_of(fault: grpc.RpcError) -> status_pb2.Status:
    trailing: Any = fault.trailing_metadata() or ()
    for key, value in trailing:
        if key == _DETAILS_KEY and isinstance(value, bytes):
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                break
    return status_pb2.Status()


def _unpacked(status: status_pb2.Status, *kinds: Message) -> set[str]:
    """Fill `kinds` from the details of a status, and return the names of those that were there."""
    return {kind.DESCRIPTOR.name for kind in kinds for each in status.details if each.Unpack(kind)}
