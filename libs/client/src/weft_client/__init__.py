"""The Python SDK of Weft: `Weft`, and `AsyncWeft` for asyncio."""

from weft_client.answer import Answer
from weft_client.async_client import AsyncWeft
from weft_client.async_stream import AsyncRunStream
from weft_client.async_thread_stream import AsyncThreadStream
from weft_client.client import Weft
from weft_client.errors import (
    AbortedError,
    AlreadyExistsError,
    CancelledByServerError,
    ClientClosedError,
    DataLossError,
    DeadlineExceededError,
    FailedPreconditionError,
    FieldViolation,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    OutOfRangeError,
    PermissionDeniedError,
    ResourceExhaustedError,
    RunCancelledError,
    RunError,
    RunFailedError,
    RunSupersededError,
    RunTimedOutError,
    UnauthenticatedError,
    UnavailableError,
    UnimplementedError,
    UnknownError,
    WeftError,
)
from weft_client.events import Event
from weft_client.patience import Patience
from weft_client.stream import RunStream
from weft_client.thread_stream import ThreadStream
from weft_client.thread_watch import ThreadItem

__all__ = [
    "AbortedError",
    "AlreadyExistsError",
    "Answer",
    "AsyncRunStream",
    "AsyncThreadStream",
    "AsyncWeft",
    "CancelledByServerError",
    "ClientClosedError",
    "DataLossError",
    "DeadlineExceededError",
    "Event",
    "FailedPreconditionError",
    "FieldViolation",
    "InternalError",
    "InvalidArgumentError",
    "NotFoundError",
    "OutOfRangeError",
    "Patience",
    "PermissionDeniedError",
    "ResourceExhaustedError",
    "RunCancelledError",
    "RunError",
    "RunFailedError",
    "RunStream",
    "RunSupersededError",
    "RunTimedOutError",
    "ThreadItem",
    "ThreadStream",
    "UnauthenticatedError",
    "UnavailableError",
    "UnimplementedError",
    "UnknownError",
    "Weft",
    "WeftError",
]
