"""Errors to gRPC statuses with details, and back."""

from typing import Any, Final, cast

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import DecodeError, Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status
from weft_core import errors
from weft_core.errors import DOMAIN, WeftError
from weft_core.text import cut_to_bytes

# All of a status travels in trailing metadata, of which a peer takes 8 KiB; above that it may lose the status whole.
# The message is in it twice: percent-encoded (three bytes for each that is not printable ASCII), and in the details,
# which are binary: base64.
_MAX_ENCODED_MESSAGE_BYTES: Final = 1024
_MAX_VIOLATIONS_BYTES: Final = 2560
_MAX_DESCRIPTION_BYTES: Final = 200
_CLASSES: Final = {
    each.code: each
    for each in (
        errors.InvalidArgumentError,
        errors.NotFoundError,
        errors.AlreadyExistsError,
        errors.FailedPreconditionError,
        errors.OutOfRangeError,
        errors.UnauthenticatedError,
        errors.PermissionDeniedError,
        errors.ResourceExhaustedError,
        errors.AbortedError,
        errors.UnavailableError,
        errors.DeadlineExceededError,
        errors.CancelledByServerError,
        errors.UnimplementedError,
        errors.InternalError,
    )
}


def to_status(error: WeftError) -> grpc.Status:
    """Return what `context.abort_with_status` takes: code, message, ErrorInfo, BadRequest and RetryInfo."""
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata),
    ]
    if error.violations:
        details.append(_bad_request(error))
    if error.retry_after_seconds is not None:
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(int(error.retry_after_seconds * 1000))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    code = code_pb2.Code.Value(error.code)
    status = status_pb2.Status(code=code, message=_sendable(error.message), details=[_packed(d) for d in details])
    return rpc_status.to_status(status)


def from_rpc_error(error: grpc.aio.AioRpcError) -> WeftError | None:
    """Return the error that a Weft service raised, as it raised it; None where the status carries no ErrorInfo."""
    status = _details_of(error)
    if status is None:
        return None
    info, retry, bad = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo(), error_details_pb2.BadRequest()
    found = _unpack(status, info, retry, bad)
    if "ErrorInfo" not in found or info.domain != DOMAIN:
        return None
    kind = _CLASSES.get(error.code().name, errors.InternalError)
    return kind(
        info.reason,
        status.message,
        metadata=dict(info.metadata),
        retry_after_seconds=retry.retry_delay.ToMilliseconds() / 1000 if "RetryInfo" in found else None,
        violations=[errors.FieldViolation(v.field, v.description, v.reason) for v in bad.field_violations],
    )


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """Return the reason of a failed call, "" where it carries none."""
    found = from_rpc_error(error)
    return found.reason if found is not None else ""


def reason_in(trailing_metadata: Any) -> str:
    """Return the reason that a call's trailing metadata carry, "" where they carry none."""
    status = _status_in(trailing_metadata)
    info = error_details_pb2.ErrorInfo()
    return info.reason if status is not None and _unpack(status, info) and info.domain == DOMAIN else ""


def _details_of(error: grpc.aio.AioRpcError) -> status_pb2.Status | None:
    return _status_in(error.trailing_metadata())


def _status_in(trailing_metadata: Any) -> status_pb2.Status | None:
    for key, value in trailing_metadata or ():
        if key == "grpc-status-details-bin":
            try:
                return status_pb2.Status.FromString(cast(bytes, value))
            except DecodeError:
                return None
    return None


def _unpack(status: status_pb2.Status, *kinds: Message) -> set[str]:
    return {kind.DESCRIPTOR.name for kind in kinds for each in status.details if each.Unpack(kind)}


def _packed(detail: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed


def _sendable(message: str) -> str:
    """Return the longest beginning of `message` that is short enough once it is percent-encoded."""
    size = 0
    for place, character in enumerate(message):
        size += 1 if " " <= character <= "~" and character != "%" else 3 * len(character.encode("utf-8", "replace"))
        if size > _MAX_ENCODED_MESSAGE_BYTES:
            return message[:place]
    return message


def _bad_request(error: WeftError) -> error_details_pb2.BadRequest:
    """Return as many violations as fit."""
    bad = error_details_pb2.BadRequest()
    for each in error.violations:
        bad.field_violations.add(
            field=cut_to_bytes(each.field, _MAX_DESCRIPTION_BYTES),
            description=cut_to_bytes(each.description, _MAX_DESCRIPTION_BYTES),
            reason=cut_to_bytes(each.rule, _MAX_DESCRIPTION_BYTES),
        )
        if bad.ByteSize() > _MAX_VIOLATIONS_BYTES:
            del bad.field_violations[-1]
            break
    return bad
