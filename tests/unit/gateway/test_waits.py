"""What a call that waits is repeated with."""

import pytest
from weft.runs.v1 import run_service_pb2 as pb
from weft_gateway.public import SERVICES
from weft_gateway.waits import WAIT_RUN, request_after
from weft_grpckit.contract import contracts_of

RUN = "run_01h455vb4pex5vsknk084sn02q"


def waiting_for(request: bytes, waited_seconds: float) -> float:
    return pb.WaitRunRequest.FromString(request_after(WAIT_RUN, request, waited_seconds)).timeout.ToMicroseconds() / 1e6


@pytest.mark.parametrize(("seconds", "waited", "left"), [(50, 20.5, 29.5), (0.5, 3, 0), (0, 3, 0), (None, 12, 18)])
def test_what_is_left_is_waited_for(seconds: float | None, waited: float, left: float) -> None:
    request = pb.WaitRunRequest(run_id=RUN)
    if seconds is not None:
        request.timeout.FromMicroseconds(int(seconds * 1e6))
    assert waiting_for(request.SerializeToString(), waited) == left


def test_what_is_no_wait_stays_as_it_is() -> None:
    request = pb.WaitRunRequest(run_id=RUN).SerializeToString()
    assert request_after("/weft.runs.v1.RunService/GetRun", request, 5) == request
    assert request_after(WAIT_RUN, b"\xff", 5) == b"\xff"


def test_every_public_read_that_waits_is_known() -> None:
    """A read with a timeout in its request is repeated as it was, unless this module knows it."""
    with_timeout = {
        f"/{service.full_name}/{method.name}"
        for service in SERVICES
        for method in service.methods
        if "timeout" in method.input_type.fields_by_name
    }
    reads = {contract.path for contract in contracts_of(SERVICES) if contract.scope.endswith(".read")}
    assert with_timeout & reads == {WAIT_RUN}
