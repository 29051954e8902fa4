"""What a status carries always fits into the metadata of any peer."""

import base64
from urllib.parse import quote

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from weft_core.errors import FieldViolation, InvalidFieldsError
from weft_grpckit.status import to_status

PEER_TAKES_BYTES = 8192


def details_of(status: grpc.Status) -> bytes:
    value = dict(status.trailing_metadata or ())["grpc-status-details-bin"]
    assert isinstance(value, bytes)
    return value


def weight_of(error: InvalidFieldsError) -> int:
    status = to_status(error)
    return len(quote(status.details or "")) + len(base64.b64encode(details_of(status)))


@pytest.mark.parametrize(
    "text", ["漢" * 5000, "😀" * 5000, "a" * 50_000, "%" * 50_000], ids=["cjk", "emoji", "ascii", "percent"]
)
def test_status_fits_when_a_caller_is_quoted_at_length(text: str) -> None:
    error = InvalidFieldsError([FieldViolation(text, text, text) for _ in range(50)])
    assert weight_of(error) < PEER_TAKES_BYTES


def test_status_names_every_field_when_there_is_room() -> None:
    status = to_status(InvalidFieldsError([FieldViolation(f"field{n}", "is wrong", "rule") for n in range(10)]))
    details = status_pb2.Status.FromString(details_of(status))
    bad = error_details_pb2.BadRequest()
    assert any(isinstance(each, any_pb2.Any) and each.Unpack(bad) for each in details.details)
    assert [each.field for each in bad.field_violations] == [f"field{n}" for n in range(10)]
