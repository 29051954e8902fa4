"""Requests that say how long to wait: asked again, they wait for what is left."""

from typing import Final

from google.protobuf.message import DecodeError
from weft.runs.v1 import run_service_pb2 as pb

WAIT_RUN: Final = "/weft.runs.v1.RunService/WaitRun"
# What the contract promises to a caller who says nothing.
_UNSET_SECONDS: Final = 30.0


def request_after(path: str, request: bytes, waited_seconds: float) -> bytes:
    """Return the request with which a call that has waited for a while is repeated."""
    if path != WAIT_RUN:
        return request
    try:
        wait = pb.WaitRunRequest.FromString(request)
    except DecodeError:  # its service will say so
        return request
    seconds = wait.timeout.seconds + wait.timeout.nanos / 1e9 if wait.HasField("timeout") else _UNSET_SECONDS
    if seconds > 0:
        wait.timeout.FromMicroseconds(int(max(seconds - waited_seconds, 0) * 1e6))
    return wait.SerializeToString()
