"""What events add up to."""

import pytest
from weft.runs.v1 import event_pb2 as pb
from weft.runs.v1.event_pb2 import RunEvent
from weft.runs.v1.run_pb2 import FailureReason, Finish, Usage
from weft_client import errors
from weft_client.answer import Answer, AnswerSoFar
from weft_client.events import Event


def queued() -> RunEvent:
    return RunEvent(run_queued=pb.RunQueued(thread_id="thr_1", message_id="msg_0"))


def begun(message: str) -> RunEvent:
    return RunEvent(message_started=pb.MessageStarted(message_id=message))


def delta(message: str, text: str, part: int = 0) -> RunEvent:
    return RunEvent(message_delta=pb.MessageDelta(message_id=message, text=text, part=part))


def discarded(message: str) -> RunEvent:
    return RunEvent(message_discarded=pb.MessageDiscarded(message_id=message))


def succeeded(finish: "Finish.ValueType" = Finish.FINISH_STOP) -> RunEvent:
    return RunEvent(run_succeeded=pb.RunSucceeded(finish=finish))


def told(*protos: RunEvent, run_id: str = "run_1") -> AnswerSoFar:
    so_far = AnswerSoFar(run_id)
    for seq, proto in enumerate(protos, start=1):
        proto.run_id, proto.seq = proto.run_id or run_id, seq
        so_far.add(Event(proto))
    return so_far


def test_an_answer_has_text_ids_usage_and_finish() -> None:
    usage = RunEvent(usage_updated=pb.UsageUpdated(usage=Usage(input_tokens=3, output_tokens=2)))
    answer = told(queued(), begun("msg_1"), delta("msg_1", "Hel"), delta("msg_1", "lo"), usage, succeeded()).result()
    assert str(answer) == answer.text == "Hello"
    assert (answer.run_id, answer.thread_id, answer.message_id) == ("run_1", "thr_1", "msg_1")
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.finish) == (3, 2, "stop")


def test_the_text_is_that_of_the_last_message() -> None:
    assert told(begun("msg_1"), delta("msg_1", "I search."), begun("msg_2"), delta("msg_2", "Found.")).text == "Found."


def test_what_was_discarded_is_not_in_the_text() -> None:
    so_far = told(begun("msg_1"), delta("msg_1", "Once up"), discarded("msg_1"))
    assert so_far.text == ""
    assert told(delta("msg_1", "Once up"), discarded("msg_1"), delta("msg_2", "Once upon")).text == "Once upon"


def test_the_parts_of_a_message_stand_in_their_order() -> None:
    assert told(delta("m", "b", 1), delta("m", "a", 0), delta("m", "c", 1)).text == "abc"


def test_a_successor_begins_anew() -> None:
    end = RunEvent(run_superseded=pb.RunSuperseded(successor_run_id="run_2"))
    second = queued()
    second.run_id = "run_2"
    so_far = told(queued(), delta("msg_1", "half"), end, second)
    assert (so_far.text, so_far.run_id) == ("", "run_2")


def failed_with(end: RunEvent) -> errors.RunError:
    with pytest.raises(errors.RunError) as raised:
        told(delta("msg_1", "so far"), end).result()
    assert raised.value.answer.text == "so far"
    assert raised.value.run_id == raised.value.metadata["run_id"] == "run_1"
    return raised.value


def test_a_failed_run_says_why() -> None:
    end = RunEvent()
    end.run_failed.failure.reason = FailureReason.FAILURE_REASON_MODEL_REFUSED
    end.run_failed.failure.message = "401 from the provider"
    error = failed_with(end)
    assert type(error) is errors.RunFailedError
    assert str(error) == "MODEL_REFUSED: run_1 failed: 401 from the provider"


def test_a_cancelled_run_says_why() -> None:
    end = RunEvent(run_cancelled=pb.RunCancelled(cause=pb.CANCEL_CAUSE_THREAD_DELETED))
    error = failed_with(end)
    assert (type(error), error.reason, error.code) == (errors.RunCancelledError, "THREAD_DELETED", "CANCELLED")


def test_a_timed_out_run_says_which_limit() -> None:
    error = failed_with(RunEvent(run_timed_out=pb.RunTimedOut(cause=pb.TIMEOUT_CAUSE_QUEUE)))
    assert (type(error), error.reason) == (errors.RunTimedOutError, "QUEUE")


def test_a_superseded_run_names_its_successor() -> None:
    error = failed_with(RunEvent(run_superseded=pb.RunSuperseded(successor_run_id="run_2")))
    assert isinstance(error, errors.RunSupersededError)
    assert error.successor_run_id == "run_2"


def test_a_value_that_this_sdk_is_too_old_for_is_told_as_its_number() -> None:
    end = RunEvent()
    end.run_succeeded.MergeFromString(b"\x08\x63")
    assert told(end).result().finish == "99"


def test_a_run_whose_end_was_not_seen_has_no_answer() -> None:
    with pytest.raises(ValueError, match="not ended"):
        told(delta("msg_1", "so far")).result()


def test_an_unknown_event_is_passed_over() -> None:
    unknown = Event(RunEvent(run_id="run_1", seq=2))
    assert (unknown.type, unknown.payload, unknown.text, unknown.is_terminal) == ("unknown", None, "", False)
    assert isinstance(told(RunEvent(), succeeded()).result(), Answer)


def test_an_event_says_what_it_is() -> None:
    event = Event(RunEvent(run_id="run_1", seq=7, message_delta=pb.MessageDelta(message_id="msg_1", text="Hi")))
    assert (event.type, event.text, event.message_id, event.seq) == ("message.delta", "Hi", "msg_1", 7)


def test_every_terminal_event_is_known_as_one() -> None:
    """The contract numbers them from 50."""
    ends = [field.name for field in RunEvent.DESCRIPTOR.oneofs_by_name["payload"].fields if field.number >= 50]
    assert len(ends) == 5
    for name in ends:
        proto = RunEvent()
        getattr(proto, name).SetInParent()
        assert Event(proto).is_terminal, name
