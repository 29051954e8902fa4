"""What is told of a request that breaks its rules."""

import pytest
from weft.projects.v1 import project_service_pb2
from weft.runs.v1 import run_service_pb2
from weft_core.errors import InvalidFieldsError
from weft_grpckit.interceptors.validation import validate


def test_a_oneof_that_is_not_set_is_told_with_its_fields() -> None:
    with pytest.raises(InvalidFieldsError) as caught:
        validate(run_service_pb2.CancelRunRequest())
    assert [(each.field, each.description) for each in caught.value.violations] == [
        ("target", "set one of run_id, request_id")
    ]


def test_a_text_that_is_missing_is_told_plainly() -> None:
    with pytest.raises(InvalidFieldsError, match="display_name: must not be empty"):
        validate(project_service_pb2.CreateProjectRequest())


def test_an_id_of_another_kind_is_told_with_its_kind_and_the_one_needed() -> None:
    with pytest.raises(InvalidFieldsError, match="is a thread id; needed is a run id"):
        validate(run_service_pb2.GetRunRequest(run_id="thr_01m7y1jxekerm8nsnrtqwfp3dz"))
