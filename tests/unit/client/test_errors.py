"""What a service raises is what the caller of the SDK catches."""

import pickle
from typing import Any

import grpc
import pytest
from weft_client import errors
from weft_client.answer import AnswerSoFar
from weft_core.errors import FieldViolation, InvalidFieldsError, WeftError
from weft_grpckit.status import to_status


class Fault(grpc.RpcError):
    """A failed call, as grpc gives it to a caller."""

    def __init__(self, code: grpc.StatusCode, details: str | None, trailing: Any = ()) -> None:
        self._code, self._details, self._trailing = code, details, trailing

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str | None:
        return self._details

    def trailing_metadata(self) -> Any:
        return self._trailing


def fault_of(error: WeftError) -> Fault:
    status = to_status(error)
    return Fault(status.code, status.details, status.trailing_metadata)


def test_everything_that_a_service_says_arrives() -> None:
    sent = errors.ResourceExhaustedError(
        "THREAD_QUEUE_FULL", "the queue is full", metadata={"limit": "20"}, retry_after_seconds=1.5
    )
    got = errors.error_of(fault_of(sent))
    assert type(got) is errors.ResourceExhaustedError
    assert (got.code, got.reason, got.message) == ("RESOURCE_EXHAUSTED", "THREAD_QUEUE_FULL", "the queue is full")
    assert got.metadata == {"limit": "20"}
    assert got.retry_after_seconds == 1.5


def test_field_violations_arrive() -> None:
    sent = InvalidFieldsError([FieldViolation("text", "is empty", "string.min_len")])
    got = errors.error_of(fault_of(sent))
    assert type(got) is errors.InvalidArgumentError
    assert got.violations == (FieldViolation("text", "is empty", "string.min_len"),)


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_every_code_has_its_class(code: grpc.StatusCode) -> None:
    got = errors.error_of(Fault(code, "told"))
    assert got.code == code.name
    assert (got.reason, str(got)) == ("", "told")


@pytest.mark.parametrize("details", [b"\xff not a status", b""])
def test_details_that_nobody_can_read_leave_code_and_message(details: bytes) -> None:
    got = errors.error_of(Fault(grpc.StatusCode.UNAVAILABLE, None, (("grpc-status-details-bin", details),)))
    assert type(got) is errors.UnavailableError
    assert got.message == "no answer"


def test_errors_survive_being_sent_to_another_process() -> None:
    sent = errors.NotFoundError("RUN_NOT_FOUND", "no such run", metadata={"run_id": "run_1"})
    got = pickle.loads(pickle.dumps(sent))
    assert (type(got), str(got), got.metadata) == (errors.NotFoundError, str(sent), {"run_id": "run_1"})
    run = errors.RunSupersededError(AnswerSoFar("run_1").so_far(), "run_2")
    got = pickle.loads(pickle.dumps(run))
    assert (type(got), got.run_id, got.successor_run_id) == (errors.RunSupersededError, "run_1", "run_2")
