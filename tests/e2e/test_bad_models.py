"""Models that refuse, break off, garble or fall silent: the run ends with the reason, or goes on, as is fit."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from e2e.asking import model_calls
from google.protobuf.duration_pb2 import Duration
from public_api import Api, text_of, type_of
from weft.agents.v1 import agent_pb2
from weft.runs.v1 import event_pb2, run_pb2
from weft.threads.v1 import message_pb2
from weft_cli.stack import Stack

TOOLS = ["search_documents", "read_document", "create_task"]


@dataclass
class Story:
    """What became of one run: its events, the run, and the calls that its model saw."""

    events: list[event_pb2.RunEvent]
    run: run_pb2.Run
    calls: list[dict[str, Any]]
    thread_id: str

    @property
    def types(self) -> list[str]:
        return [type_of(event) for event in self.events]

    def count(self, kind: str) -> int:
        return self.types.count(kind)

    def failed_tools(self) -> list[str]:
        found = [event.tool_failed.reason for event in self.events if type_of(event) == "tool_failed"]
        return [event_pb2.ToolFailureReason.Name(reason).removeprefix("TOOL_FAILURE_REASON_") for reason in found]


async def tell(api: Api, stack: Stack, script: str, text: str = "hello", **spec: Any) -> Story:
    """Run an agent on a model that misbehaves, watching to the end."""
    model = f"scripted:{script}"
    made = await api.initiate(text, agent_id=await api.make_agent(model, **spec))
    events = await api.events(made.run_id)
    run = await api.get_run(made.run_id)
    calls = [call for call in await model_calls(stack, model=model) if text in call["user_text"]]
    assert run.usage.model_calls == len(calls), "what is counted is what the model saw"
    return Story(events, run, calls, made.thread_id)


REASON = run_pb2.FailureReason.Name


@pytest.mark.row("E7")
@pytest.mark.parametrize(
    ("script", "reason", "status", "calls"),
    [
        ("status=401,tag=bad", "MODEL_REFUSED", 401, 1),
        ("status=400,tag=bad", "MODEL_REFUSED", 400, 1),
        ("status=429,tag=bad", "MODEL_RATE_LIMITED", 429, 3),
        ("status=429,retry_after=0.1,tag=bad", "MODEL_RATE_LIMITED", 429, 3),
        ("status=500,tag=bad", "MODEL_UNAVAILABLE", 500, 3),
        ("cut=3,tag=bad", "MODEL_UNAVAILABLE", 0, 3),
        ("nofinish=3,tag=bad", "MODEL_UNAVAILABLE", 0, 3),
        ("malformed=3,tag=bad", "MODEL_ANSWER_INVALID", 0, 3),
        ("status=404,tag=bad", "MODEL_REFUSED", 404, 1),
    ],
)
async def test_a_model_that_always_fails_fails_the_run_with_its_reason(
    api: Api, stack: Stack, script: str, reason: str, status: int, calls: int
) -> None:
    story = await tell(api, stack, script)
    assert story.types[-1] == "run_failed"
    failure = story.run.failure
    assert (REASON(failure.reason), failure.provider_status) == (f"FAILURE_REASON_{reason}", status)
    assert failure == story.events[-1].run_failed.failure
    assert failure.message
    assert len(story.calls) == calls
    assert story.count("step_started") == calls
    again = await api.initiate("again", thread_id=story.thread_id, agent_id=await api.make_agent("scripted:count=3"))
    assert type_of((await api.events(again.run_id))[-1]) == "run_succeeded", "the thread can go on"


@pytest.mark.row("E7")
@pytest.mark.parametrize(
    "fault", ["status=429", "status=500", "cut=3", "nofinish=3", "malformed=3", "error=3", "cut=0", "status=408"]
)
async def test_a_model_that_fails_once_is_asked_again_and_its_half_answer_is_discarded(
    api: Api, stack: Stack, fault: str
) -> None:
    story = await tell(api, stack, f"{fault},fail_first=1,count=6,tps=50,tag=once")
    assert story.types[-1] == "run_succeeded"
    assert len(story.calls) == 2
    has_begun = fault.partition("=")[2] == "3"
    assert story.count("message_discarded") == has_begun
    _, answer = await api.messages(story.thread_id)
    assert answer.role == message_pb2.ROLE_ASSISTANT
    assert answer.state == message_pb2.Message.STATE_COMPLETE
    assert answer.parts[0].text == text_of(story.events)
    discarded = {event.message_discarded.message_id for event in story.events if type_of(event) == "message_discarded"}
    assert answer.message_id not in discarded


@pytest.mark.row("E7")
@pytest.mark.parametrize("kind", ["retry_after=1", "retry_after_date=2"])
async def test_retry_after_is_waited_for_in_place(api: Api, stack: Stack, kind: str) -> None:
    story = await tell(api, stack, f"status=429,{kind},fail_first=1,count=3")
    assert story.types[-1] == "run_succeeded"
    first, second = story.calls
    assert second["start_time"] - first["start_time"] >= 0.95
    assert story.run.attempt == 1, "one runner, all the time"


@pytest.mark.row("E7")
async def test_a_long_retry_after_parks_the_run_and_a_parked_run_can_be_cancelled(api: Api, stack: Stack) -> None:
    model = "scripted:status=429,retry_after=90"
    made = await api.initiate("hello", agent_id=await api.make_agent(model))
    events = await api.events(made.run_id, stop_when=lambda event: type_of(event) == "run_waiting")
    assert events[-1].run_waiting.reason == run_pb2.WAITING_REASON_PROVIDER_RATE
    run = await api.get_run(made.run_id)
    assert (run.state, run.waiting_reason) == (run_pb2.RUN_STATE_WAITING, run_pb2.WAITING_REASON_PROVIDER_RATE)
    assert (await api.cancel(made.run_id, wait_seconds=0)).state == run_pb2.RUN_STATE_CANCELLED
    assert type_of((await api.events(made.run_id))[-1]) == "run_cancelled"
    assert len(await model_calls(stack, model=model)) == 1


@pytest.mark.row("E1", "E6")
@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("tools=1,tool=search_documents,args=invalid", "ARGUMENTS_INVALID"),
        ("tools=1,tool=search_documents,args=wrong", "ARGUMENTS_INVALID"),
        ("tools=1,tool=search_documents,args=empty", "ARGUMENTS_INVALID"),
        ("tools=1,tool=no_such_tool", "UNKNOWN_TOOL"),
        ("tools=1,tool=count_effect", "DENIED"),
    ],
)
async def test_a_tool_call_that_cannot_be_made_goes_back_to_the_model(
    api: Api, stack: Stack, script: str, reason: str
) -> None:
    story = await tell(api, stack, script, tools=TOOLS)
    assert story.failed_tools() == [reason]
    assert story.types[-1] == "run_succeeded"
    assert len(story.calls) == 2
    roles = [message["role"] for message in story.calls[1]["messages"]]
    assert roles == ["user", "assistant", "tool"]
    result = (await api.messages(story.thread_id))[2].parts[0].tool_result
    assert result.is_error
    assert not result.outcome_unknown
    assert result.content


async def test_a_silent_model_is_given_up_after_the_time_that_its_agent_gives_a_call(api: Api, stack: Stack) -> None:
    limits = agent_pb2.AgentLimits(model_call_timeout=Duration(seconds=1))
    story = await tell(api, stack, "silent=0,tag=given-up", limits=limits)
    assert story.types[-1] == "run_failed"
    assert story.run.failure.reason == run_pb2.FAILURE_REASON_MODEL_UNAVAILABLE
    assert [call["ending"] for call in story.calls] == ["client_closed"], "its time was for all tries"


async def test_a_model_that_falls_silent_in_mid_answer_is_given_up_too(api: Api, stack: Stack) -> None:
    limits = agent_pb2.AgentLimits(model_call_timeout=Duration(seconds=1), max_tries=1)
    story = await tell(api, stack, "silent=3,tag=mid-answer", limits=limits)
    assert story.run.failure.reason == run_pb2.FAILURE_REASON_MODEL_UNAVAILABLE
    assert story.types[-2:] == ["message_incomplete", "run_failed"]
    answer = (await api.messages(story.thread_id))[1]
    assert answer.state == message_pb2.Message.STATE_INCOMPLETE
    assert answer.parts[0].text == text_of(story.events)


async def test_a_run_with_a_silent_model_times_out_by_its_own_limit(api: Api, stack: Stack) -> None:
    limits = agent_pb2.AgentLimits(run_timeout=Duration(seconds=1))
    story = await tell(api, stack, "silent=3,tag=run-timeout", limits=limits)
    assert story.events[-1].run_timed_out.cause == event_pb2.TIMEOUT_CAUSE_RUN
    assert [call["ending"] for call in story.calls] == ["client_closed"]


@pytest.mark.row("G2", "C4")
@pytest.mark.parametrize("silence", ["silent=0", "silent=headers", "silent=2"])
async def test_a_silent_model_is_left_at_once_when_its_run_is_cancelled(api: Api, stack: Stack, silence: str) -> None:
    model = f"scripted:{silence},tag=cancelled"
    made = await api.initiate("hello", agent_id=await api.make_agent(model))
    await model_calls(stack, model=model, started=1)
    run = await api.cancel(made.run_id)
    assert run.state == run_pb2.RUN_STATE_CANCELLED
    (call,) = await model_calls(stack, model=model, ended=1)
    assert call["ending"] == "client_closed"
    assert type_of((await api.events(made.run_id))[-1]) == "run_cancelled"


@pytest.mark.row("C4")
@pytest.mark.parametrize(
    ("script", "wanted"),
    [
        ("surrogates=split", "\U0001f600"),
        ("surrogates=split,dribble=1", "\U0001f600"),
        ("surrogates=lone", " lone\ufffd half"),
        ("nul=1", "\ufffd"),
    ],
)
async def test_odd_characters_of_a_model_come_out_whole_or_replaced(
    api: Api, stack: Stack, script: str, wanted: str
) -> None:
    story = await tell(api, stack, script)
    assert story.types[-1] == "run_succeeded"
    deltas = [event.message_delta for event in story.events if type_of(event) == "message_delta"]
    offset = 0
    for delta in deltas:
        assert delta.offset == offset, "offsets count code points"
        offset += len(delta.text)
    text = "".join(delta.text for delta in deltas)
    assert wanted in text
    assert "\0" not in text
    assert (await api.messages(story.thread_id))[1].parts[0].text == text


async def test_many_bad_models_at_once_do_not_disturb_a_good_one(api: Api, stack: Stack) -> None:
    scripts = ["status=500,tag=crowd", "cut=2,tag=crowd", "malformed=1,tag=crowd", "silent=1,tag=crowd"] * 3
    limits = agent_pb2.AgentLimits(model_call_timeout=Duration(seconds=2), max_tries=2)
    agents = {script: await api.make_agent(f"scripted:{script}", limits=limits) for script in set(scripts)}
    bad = [await api.initiate("hello", agent_id=agents[script]) for script in scripts]
    good = await tell(api, stack, "count=20,tps=50,tag=good")
    assert good.types[-1] == "run_succeeded"
    ended = await asyncio.gather(*(api.events(made.run_id) for made in bad))
    assert {type_of(events[-1]) for events in ended} == {"run_failed"}
