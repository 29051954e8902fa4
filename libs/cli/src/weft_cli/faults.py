"""What a refused call says to a person: a sentence, the reason, and what is wrong with which field."""

from collections.abc import Iterator

import grpc
from google.protobuf.any_pb2 import Any
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

DETAILS_KEY = "grpc-status-details-bin"


def describe(fault: grpc.aio.AioRpcError) -> str:
    lines = [f"error: {fault.details() or 'no answer'}", f"  code: {fault.code().name}"]
    for detail in _details(fault):
        lines.extend(f"  {line}" for line in _lines(detail))
    return "\n".join(lines)


def _details(fault: grpc.aio.AioRpcError) -> list[Any]:
    for key, value in fault.trailing_metadata() or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            return list(Status.FromString(value).details)
    return []


def _lines(detail: Any) -> Iterator[str]:
    info, bad, retry = ErrorInfo(), BadRequest(), RetryInfo()
    if detail.Unpack(info):
        yield f"reason: {info.reason}"
        yield from (f"{key}: {value}" for key, value in sorted(info.metadata.items()))
    elif detail.Unpack(bad):
        yield from (f"field {violation.field}: {violation.description}" for violation in bad.field_violations)
    elif detail.Unpack(retry):
        yield f"try again in: {retry.retry_delay.ToTimedelta().total_seconds():g} s"
