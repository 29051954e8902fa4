"""What a refused call says to a person: a sentence, the reason, and what is wrong with which field."""

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

DETAILS_KEY = "grpc-status-details-bin"


def describe(fault: grpc.aio.AioRpcError) -> str:
    lines = [f"error: {fault.details() or 'no answer'}", f"  code: {fault.code().name}"]
    for detail in _details(fault):
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            lines += _info(detail)
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            lines += _violations(detail)
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            retry = error_details_pb2.RetryInfo()
            detail.Unpack(retry)
            lines.append(f"  try again in: {retry.retry_delay.ToTimedelta().total_seconds():g} s")
    return "\n".join(lines)


def reason_of(fault: grpc.aio.AioRpcError) -> str:
    """Return the reason's name, empty when the server gave none."""
    for detail in _details(fault):
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return str(info.reason)
    return ""


def _details(fault: grpc.aio.AioRpcError) -> list[any_pb2.Any]:
    for key, value in fault.trailing_metadata() or ():
        if key == DETAILS_KEY:
            return list(status_pb2.Status.FromString(value).details)
    return []


def _info(detail: any_pb2.Any) -> list[str]:
    info = error_details_pb2.ErrorInfo()
    detail.Unpack(info)
    return [f"  reason: {info.reason}", *(f"  {key}: {value}" for key, value in sorted(info.metadata.items()))]


def _violations(detail: any_pb2.Any) -> list[str]:
    bad = error_details_pb2.BadRequest()
    detail.Unpack(bad)
    return [f"  field {violation.field}: {violation.description}" for violation in bad.field_violations]
