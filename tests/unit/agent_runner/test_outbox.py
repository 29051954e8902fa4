import pytest
from weft_agent_runner.domain.entry import Act, AnswerMessage, BeginStep, EntryResult, FinishStep, Stop, Verdict
from weft_agent_runner.domain.events import MessageDelta, MessageStarted, ToolExecuting
from weft_agent_runner.domain.model import ToolCall
from weft_agent_runner.domain.outbox import Outbox, OutboxLimits, Urgency
from weft_agent_runner.domain.run import PlacedToolCall, RunKey

KEY = RunKey("ten_1", "run_1", 4)


def outbox(**limits: int) -> Outbox:
    return Outbox(KEY, 10, OutboxLimits(**limits))


def result(last_seq: int, epoch: int = 4, **fields: object) -> EntryResult:
    return EntryResult(epoch, last_seq, **fields)  # type: ignore[arg-type]


def test_deltas_become_one_when_they_follow_each_other() -> None:
    box = outbox()
    for offset, text in ((0, "ab"), (2, "c"), (3, "def")):
        box.put(MessageDelta("msg_1", offset, text))
    entry = box.take()
    assert entry is not None
    assert entry.events == (MessageDelta("msg_1", 0, "abcdef"),)


def test_deltas_stay_apart_when_they_are_of_different_messages() -> None:
    box = outbox()
    box.put(MessageDelta("msg_1", 0, "ab"))
    box.put(MessageDelta("msg_2", 0, "cd"))
    entry = box.take()
    assert entry is not None
    assert len(entry.events) == 2


def test_delta_is_closed_when_it_is_large() -> None:
    box = outbox(delta_size=4)
    for offset in range(0, 12, 2):
        box.put(MessageDelta("msg_1", offset, "xx"))
    entry = box.take()
    assert entry is not None
    assert [event.text for event in entry.events if isinstance(event, MessageDelta)] == ["xxxx"] * 3


def test_first_delta_is_pressing_when_its_message_starts_with_it() -> None:
    box = outbox()
    urgencies = [box.urgency]
    box.put(MessageStarted("msg_1", "m"))
    box.put(MessageDelta("msg_1", 0, "a"))
    urgencies.append(box.urgency)
    box.take()
    box.put(MessageDelta("msg_1", 1, "b"))
    urgencies.append(box.urgency)
    box.settle(result(12))
    urgencies.append(box.urgency)
    assert urgencies == [Urgency.NONE, Urgency.NOW, Urgency.NONE, Urgency.SOON]


def test_begun_tool_call_waits_for_company_and_goes_with_its_result() -> None:
    box = outbox()
    executing = ToolExecuting(PlacedToolCall(1, 0, ToolCall("c1", "search", "{}")))
    box.put(executing)
    urgencies = [box.urgency]
    act = Act(begin_step=BeginStep(2, 1))
    box.put_act(act)
    urgencies.append(box.urgency)
    assert urgencies == [Urgency.SOON, Urgency.NOW]
    entry = box.take()
    assert entry is not None
    assert (entry.events, entry.act) == ((executing,), act)


def test_act_comes_behind_all_events_when_they_do_not_fit_one_entry() -> None:
    box = outbox(entry_events=2)
    for number in range(3):
        box.put(MessageStarted(f"msg_{number}", "m"))
    box.put_act(Act(transition=Stop()))
    first = box.take()
    assert first is not None
    assert (len(first.events), first.act, first.reached_seq) == (2, None, 12)
    box.settle(result(12))
    second = box.take()
    assert second is not None
    assert (second.expected_seq, len(second.events), second.reached_seq) == (12, 1, 14)
    assert second.act is not None


def test_second_act_is_refused_when_one_waits() -> None:
    box = outbox()
    box.put_act(Act(transition=Stop()))
    with pytest.raises(RuntimeError):
        box.put_act(Act(transition=Stop()))


def test_it_is_full_when_much_waits_and_empty_again_when_that_is_taken() -> None:
    box = outbox(full_size=1000)
    box.put(MessageDelta("msg_1", 0, "x" * 2000))
    assert box.is_full
    assert box.urgency is Urgency.NOW
    box.take()
    assert not box.is_full


def test_reached_seq_counts_every_event_that_the_queue_writes() -> None:
    box = outbox()
    box.put(MessageStarted("msg_1", "m"))
    box.put_act(
        Act(
            finish_step=FinishStep(1, 1, is_succeeded=False, is_message_discarded=True),
            messages=(AnswerMessage("msg_1", 1, "x"),),
            begin_step=BeginStep(1, 2),
            transition=Stop(),
        )
    )
    entry = box.take()
    assert entry is not None
    assert entry.reached_seq == 10 + 1 + 1 + 1 + 1 + 1


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (result(11), Verdict.DONE),
        (result(11, is_running=False), Verdict.DONE),
        (result(12, epoch=5), Verdict.LOST),
        (result(0, epoch=0), Verdict.LOST),
        (result(10, is_running=False), Verdict.LOST),
        (result(9), Verdict.LOST),
        (result(10), Verdict.REPEAT),
        (result(0, epoch=0, data_error="bad"), Verdict.REFUSED),
    ],
)
def test_answer_is_understood(answer: EntryResult, verdict: Verdict) -> None:
    box = outbox()
    box.put(MessageStarted("msg_1", "m"))
    box.take()
    assert box.settle(answer)[1] is verdict
