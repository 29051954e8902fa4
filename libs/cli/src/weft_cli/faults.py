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


# What to do about a reason, in the words of these commands.
NEXT = {
    "THREAD_NOT_FOUND": "weft threads list",
    "RUN_NOT_FOUND": "weft runs list",
    "AGENT_NOT_FOUND": "weft agents list",
    "PROJECT_NOT_FOUND": "weft projects list",
    "DOCUMENT_NOT_FOUND": "weft documents list",
    "TOOL_NOT_FOUND": "weft tools list",
    "API_KEY_MISSING": "--api-key, or WEFT_API_KEY",
    "API_KEY_INVALID": "--api-key, or WEFT_API_KEY",
    "AGENT_IN_USE": "weft runs list --agent, or --force",
}


TOO_LARGE = "Received message larger than max"  # grpc's words; the service never sees such a call


def in_one_line(fault: grpc.aio.AioRpcError, address: str) -> str:
    """Return the sentence, what is wrong with which field, the reason, and what to do next."""
    info, bad, retry = ErrorInfo(), BadRequest(), RetryInfo()
    for detail in _details(fault):
        for kind in (info, bad, retry):
            detail.Unpack(kind)
    told = f"error: {fault.details() or fault.code().name}"
    wrong = [each for each in bad.field_violations if each.description not in told]
    if wrong:
        told += ": " + "; ".join(f"{each.field} {each.description}" for each in wrong)
    if info.reason:
        told += f" [{info.reason}]"
    if info.reason in NEXT:
        told += f"; try: {NEXT[info.reason]}"
    elif retry.HasField("retry_delay"):
        told += f"; try again in {retry.retry_delay.ToTimedelta().total_seconds():g} s"
    elif TOO_LARGE in told:
        told += "; a call may have 16 MiB, the files in it 15 MiB"
    elif fault.code() == grpc.StatusCode.UNAVAILABLE:
        told += f"; is a stack up at {address}? start one: weft up"
    return " ".join(told.split())


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
