import pytest
from agent_runner_builders import a_run, calls, done
from weft_agent_runner.domain.agent import AgentVersion, Equipment, model_request
from weft_agent_runner.domain.book import Book
from weft_agent_runner.domain.decisions import (
    MAX_RESULTS,
    after_completion,
    after_tool_results,
    before_closing,
    closing,
    cut_attempt,
)
from weft_agent_runner.domain.entry import (
    Act,
    AnswerMessage,
    BeginStep,
    Entry,
    Fail,
    FailureReason,
    Finish,
    Park,
    Stop,
    Succeed,
    ToolMessage,
)
from weft_agent_runner.domain.model import (
    FinishReason,
    ModelCallError,
    ModelCompletion,
    ModelFault,
    ModelMessage,
    ModelUsage,
    Role,
    ToolCall,
    ToolSpec,
)
from weft_agent_runner.domain.outcome import ToolCompleted, ToolFailed, ToolFailureReason
from weft_agent_runner.domain.retries import TryAgain, after_failure, backoff, failure_of
from weft_agent_runner.domain.run import BegunStep, Usage

ECHO = ToolSpec("echo", "", {})
STEP = BegunStep(1, 1, "msg_1")


def equipment(max_model_calls: int = 5, tools: tuple[ToolSpec, ...] = (ECHO,)) -> Equipment:
    agent = AgentVersion(system_instructions="Be brief.", tools=("echo",), max_model_calls=max_model_calls)
    return Equipment(agent, "m", tools)


def completion(*tool_calls: ToolCall, finish: FinishReason = FinishReason.STOP) -> ModelCompletion:
    return ModelCompletion("hi", tool_calls, finish, ModelUsage(7, 2))


def error(fault: ModelFault = ModelFault.STATUS, **fields: object) -> ModelCallError:
    values: dict[str, object] = {"is_retryable": True, "status": 429, **fields}
    return ModelCallError(fault, "no", **values)  # type: ignore[arg-type]


def apply(book: Book, act: Act, begun: BegunStep | None = None) -> None:
    book.apply(Entry(a_run().key, 3, (), act), done(9, begun_step=begun))


def with_calls(count: int) -> Book:
    """A book in which a model message with so many tool calls is written."""
    book = Book(a_run())
    tool_calls = tuple(place.call for place in calls(count))
    apply(book, after_completion(equipment(), STEP, "hi", completion(*tool_calls)))
    return book


def test_answer_ends_the_run_when_it_calls_no_tools() -> None:
    act = after_completion(equipment(), STEP, "hi", completion())
    assert act.transition == Succeed(Finish.STOP)
    assert act.messages == (AnswerMessage("msg_1", 1, "hi"),)
    assert act.finish_step is not None
    assert act.finish_step.usage == ModelUsage(7, 2)


def test_tool_calls_come_first_when_the_answer_has_some() -> None:
    book = with_calls(2)
    assert [place.index for place in book.calls] == [0, 1]
    assert book.step is None
    assert book.finished_steps == 1
    assert not book.is_over


@pytest.mark.parametrize(
    ("reason", "step", "tools", "finish"),
    [
        (FinishReason.LENGTH, 1, (ECHO,), Finish.LENGTH),
        (FinishReason.CONTENT_FILTER, 1, (ECHO,), Finish.CONTENT_FILTER),
        (FinishReason.OTHER, 1, (ECHO,), Finish.STOP),
        (FinishReason.STOP, 2, (ECHO,), Finish.ITERATION_LIMIT),
        (FinishReason.STOP, 2, (), Finish.STOP),
        (FinishReason.LENGTH, 2, (ECHO,), Finish.LENGTH),
    ],
)
def test_finish_says_how_the_answer_ended(
    reason: FinishReason, step: int, tools: tuple[ToolSpec, ...], finish: Finish
) -> None:
    act = after_completion(equipment(2, tools), BegunStep(step, 1, "msg_1"), "hi", completion(finish=reason))
    assert act.transition == Succeed(finish)


def test_tool_calls_of_the_last_model_call_are_dropped_when_it_makes_some_all_the_same() -> None:
    act = after_completion(equipment(1), STEP, "hi", completion(ToolCall("c", "echo", "{}")))
    assert act.transition == Succeed(Finish.ITERATION_LIMIT)
    assert act.messages == (AnswerMessage("msg_1", 1, "hi"),)


def test_tools_are_offered_but_for_the_last_call() -> None:
    conversation = (ModelMessage(Role.USER, "hello"),)
    assert model_request(equipment(2), conversation, 1, 100.0).tools == (ECHO,)
    last = model_request(equipment(2), conversation, 2, 100.0)
    assert last.tools == ()
    assert last.total_seconds == 100.0
    assert [message.text for message in last.messages] == ["Be brief.", "hello"]


def test_call_that_breaks_the_bounds_of_a_message_is_cut_to_them() -> None:
    act = after_completion(equipment(), STEP, "", completion(ToolCall("", "n" * 100, "\x00" + "x" * 2_000_000)))
    message = act.messages[0]
    assert isinstance(message, AnswerMessage)
    (call,) = message.tool_calls
    assert (call.id, call.name) == ("call", "n" * 64)
    assert call.arguments.startswith("�x")
    assert len(call.arguments.encode()) <= 1024 * 1024


def test_results_wait_for_those_before_them() -> None:
    book = with_calls(3)
    book.outcomes[1] = ToolCompleted(book.calls[1], "b")
    assert after_tool_results(book) is None
    book.outcomes[0] = ToolCompleted(book.calls[0], "a")
    act = after_tool_results(book)
    assert act is not None
    assert len(act.messages) == 2
    assert act.begin_step is None
    apply(book, act)
    book.outcomes[2] = ToolFailed(book.calls[0], ToolFailureReason.DENIED, "no")
    act = after_tool_results(book)
    assert act is not None
    assert act.begin_step == BeginStep(2, 1)


def test_conversation_holds_what_was_written_in_the_order_of_writing() -> None:
    book = with_calls(1)
    book.outcomes[0] = ToolCompleted(book.calls[0], "a")
    act = after_tool_results(book)
    assert act is not None
    apply(book, act, BegunStep(2, 1, "msg_2"))
    assert [message.role for message in book.conversation] == [Role.USER, Role.ASSISTANT, Role.TOOL]
    assert book.conversation[-1].tool_call_id == "c0"
    assert book.step == BegunStep(2, 1, "msg_2")


def test_partial_answer_is_kept_when_a_run_is_closed() -> None:
    book = Book(a_run())
    for piece in ("par", "tial"):
        book.open_answer(STEP, "m").add(piece) if book.answer is None else book.answer.add(piece)
    book.model_closed_at = 99.5
    act = closing(book, Stop(), "stopped", 100.0)
    assert act.messages == (AnswerMessage("msg_1", 1, "partial", is_incomplete=True),)
    assert act.finish_step is not None
    assert (act.finish_step.is_succeeded, act.finish_step.is_message_discarded) == (False, False)
    assert act.model_closed_ago_seconds == 0.5


def test_every_call_gets_a_result_when_a_run_is_closed_during_them() -> None:
    book = with_calls(3)
    book.outcomes[1] = ToolCompleted(book.calls[1], "b")
    book.sent_calls.add(0)
    assert before_closing(book) is None
    act = closing(book, Stop(), "stopped", 0.0)
    outcomes = [message.outcome for message in act.messages if isinstance(message, ToolMessage)]
    assert [type(outcome).__name__ for outcome in outcomes] == ["ToolFailed", "ToolCompleted", "ToolFailed"]
    first, _, last = outcomes
    assert isinstance(first, ToolFailed)
    assert isinstance(last, ToolFailed)
    assert (first.may_have_happened, last.may_have_happened) == (True, False)
    assert act.finish_step is None


@pytest.mark.parametrize("is_shown", [True, False])
def test_message_is_discarded_only_when_some_of_it_was_shown(is_shown: bool) -> None:
    book = Book(a_run())
    answer = book.open_answer(STEP, "m")
    if is_shown:
        answer.add("x")
    act = cut_attempt(book, STEP, "cut")
    assert act.finish_step is not None
    assert act.finish_step.is_message_discarded is is_shown
    assert act.event_count == is_shown


def test_usage_is_summed_over_calls() -> None:
    usage = Usage().with_begun_call().with_ended_call(ModelUsage(5, 2, 1), 3).with_begun_call().with_ended_call(None)
    assert usage == Usage(5, 2, 1, model_calls=2, unmetered_model_calls=1, cost_micros=3)


def test_pieces_are_whole_code_points_at_their_offsets() -> None:
    answer = Book(a_run()).open_answer(STEP, "m")
    events = [*answer.add("a😀"), *answer.add(""), *answer.add("\x00b")]
    assert [getattr(event, "offset", None) for event in events] == [None, 0, 2]
    assert answer.text == "a😀�b"


KEY_REFUSED = "the model provider refused the credentials of this installation (status 401)"


def half() -> float:
    return 0.5


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (error(status=401, is_retryable=False), Fail(FailureReason.MODEL_REFUSED, KEY_REFUSED, 401)),
        (
            error(status=400, is_retryable=False, code="context_length_exceeded"),
            Fail(FailureReason.CONTEXT_TOO_LARGE, "no", 400),
        ),
        (
            error(ModelFault.TOO_LARGE, status=None, is_retryable=False),
            Fail(FailureReason.MODEL_ANSWER_INVALID, "the model's answer is larger than allowed"),
        ),
        (
            error(ModelFault.TOTAL, status=None, is_retryable=False),
            Fail(FailureReason.MODEL_UNAVAILABLE, "the model did not answer within the time that the call had"),
        ),
        (error(retry_after_seconds=30.0), TryAgain(30.125)),
        (error(retry_after_seconds=61.0), Park(61.0)),
        (error(retry_after_seconds=1e12), Park(86400.0)),
        (error(status=500), TryAgain(backoff(1, half))),
        (error(ModelFault.MALFORMED, status=None, is_retryable=False), TryAgain(backoff(1, half))),
    ],
)
def test_failed_call_is_judged(failure: ModelCallError, expected: object) -> None:
    assert after_failure(failure, tries=1, attempt=1, max_tries=3, random=half) == expected


def test_run_fails_when_its_tries_are_used_up() -> None:
    assert after_failure(error(), tries=3, attempt=3, max_tries=3, random=half) == Fail(
        FailureReason.MODEL_RATE_LIMITED, "the model provider asked for fewer requests", 429
    )


def test_run_is_not_parked_for_ever_when_the_provider_always_asks_for_a_long_pause() -> None:
    long = error(retry_after_seconds=1000.0)
    assert after_failure(long, tries=1, attempt=2, max_tries=3, random=half) == Park(1000.0)
    assert isinstance(after_failure(long, tries=1, attempt=3, max_tries=3, random=half), Fail)


def test_pauses_grow_and_are_bounded() -> None:
    pauses = [backoff(tries, half) for tries in range(100)]
    assert pauses == sorted(pauses)
    assert pauses[-1] <= 8.0


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503, None])
def test_words_that_name_the_installation_are_not_told_to_its_tenants(status: int | None) -> None:
    fault = ModelFault.STATUS if status else ModelFault.CONNECT
    secret = ModelCallError(fault, "key sk-proj-abcd, org-42, host 10.0.0.5", is_retryable=True, status=status)
    told = failure_of(secret).message
    assert told
    assert not any(word in told for word in ("sk-", "org-", "10.0.0.5"))


def test_results_are_written_in_several_entries_when_there_are_many() -> None:
    book = with_calls(2 * MAX_RESULTS + 3)
    for place in book.calls:
        book.outcomes[place.index] = ToolCompleted(place, "x")
    sizes = []
    while act := after_tool_results(book):
        sizes.append((len(act.messages), act.begin_step is not None))
        apply(book, act, BegunStep(2, 1, "msg_2"))
    assert sizes == [(MAX_RESULTS, False), (MAX_RESULTS, False), (3, True)]


def test_closing_leaves_few_results_to_its_last_entry_when_there_are_many() -> None:
    book = with_calls(2 * MAX_RESULTS + 3)
    book.outcomes[40] = ToolCompleted(book.calls[0], "x")
    written = 0
    while act := before_closing(book):
        written += len(act.messages)
        apply(book, act)
    last = closing(book, Stop(), "stopped", 0.0)
    assert written + len(last.messages) == 2 * MAX_RESULTS + 3
    assert len(last.messages) <= MAX_RESULTS


def test_call_may_have_happened_when_the_runner_before_left_it_open() -> None:
    book = Book(a_run(begun_step=None, finished_steps=1, pending_tool_calls=calls(1)))
    assert before_closing(book) is None
    (message,) = closing(book, Stop(), "stopped", 0.0).messages
    assert isinstance(message, ToolMessage)
    assert isinstance(message.outcome, ToolFailed)
    assert message.outcome.may_have_happened
