from typing import Any

import pytest
from weft.gateway.v1.agent_gateway_service_pb2 import InitiateAgentRequest
from weft.runs.v1.run_service_pb2 import CancelRunRequest, GetRunRequest
from weft.threads.v1.thread_service_pb2 import CreateThreadRequest
from weft_client import errors
from weft_client.patience import Contact, Outage, Patience, Tries, is_repeatable, is_transient

AWAY = errors.UnavailableError("", "away")


def delays(chance: float, count: int, error: errors.WeftError = AWAY) -> list[float]:
    outage = Outage(Patience(first_seconds=1e9), Contact(), lambda: chance)
    return [outage.failed(error, 0.0) for _ in range(count)]


def test_delays_grow_to_two_seconds_and_are_spread() -> None:
    assert delays(1.0, 7) == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0])
    assert delays(0.0, 7) == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0])


def test_what_the_server_asks_for_is_waited_at_least() -> None:
    busy = errors.ResourceExhaustedError("OVERLOADED", "busy", retry_after_seconds=3.0)
    assert delays(0.0, 2, busy) == [3.0, 3.0]
    assert max(delays(1.0, 6, busy)) == 5.0


def test_a_stopping_server_is_left_at_once_and_not_by_all_in_the_same_moment() -> None:
    stopping = errors.UnavailableError("SERVER_STOPPING", "stopping", retry_after_seconds=0.0)
    assert delays(0.0, 1, stopping) == [0.0]
    assert delays(1.0, 1, stopping) == [0.1]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.UnavailableError("DATABASE_UNAVAILABLE", ""), True),
        (errors.UnavailableError("", "connection refused"), True),
        (errors.CancelledByServerError("", ""), True),
        (errors.ResourceExhaustedError("OVERLOADED", ""), True),
        (errors.ResourceExhaustedError("ACTIVE_RUN_LIMIT", "", retry_after_seconds=1), False),
        (errors.ResourceExhaustedError("", "larger than max"), False),
        (errors.InternalError("", "RST_STREAM"), True),
        (errors.InternalError("INTERNAL", "a fault"), False),
        (errors.DeadlineExceededError("", ""), False),
        (errors.NotFoundError("RUN_NOT_FOUND", ""), False),
        (errors.UnauthenticatedError("API_KEY_INVALID", ""), False),
    ],
)
def test_only_what_may_pass_by_itself_is_tried_again(error: errors.WeftError, expected: bool) -> None:
    assert is_transient(error) is expected


@pytest.mark.parametrize(
    ("path", "request_", "expected"),
    [
        ("/weft.runs.v1.RunService/GetRun", GetRunRequest(), True),
        ("/weft.runs.v1.RunService/WaitRun", GetRunRequest(), True),
        ("/weft.runs.v1.RunService/CancelRun", CancelRunRequest(run_id="run_1"), True),
        ("/weft.threads.v1.ThreadService/CreateThread", CreateThreadRequest(), False),
        ("/weft.gateway.v1.AgentGateway/InitiateAgent", InitiateAgentRequest(), False),
        ("/weft.gateway.v1.AgentGateway/InitiateAgent", InitiateAgentRequest(request_id="r"), True),
    ],
)
def test_only_what_has_the_same_effect_twice_is_repeated(path: str, request_: Any, expected: bool) -> None:
    assert is_repeatable(path, request_) is expected


def tries(until: float, *, repeatable: bool = True) -> Tries:
    outage = Outage(Patience(), Contact(), lambda: 1.0)
    return Tries(outage, is_repeatable=repeatable, until=until)


def test_a_call_is_not_tried_beyond_its_time() -> None:
    assert tries(10.0).failed(AWAY, 9.8) == pytest.approx(0.1)
    with pytest.raises(errors.UnavailableError):
        tries(10.0).failed(AWAY, 9.95)


def test_a_call_that_may_have_had_its_effect_is_not_tried_again() -> None:
    with pytest.raises(errors.UnavailableError):
        tries(10.0, repeatable=False).failed(AWAY, 0.0)
