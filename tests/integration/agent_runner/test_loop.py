"""The loop of model and tool calls, as the log of a run shows it."""

import asyncio
import hashlib
from collections import Counter

import pytest
from runner_world import World
from weft.runs.v1 import event_pb2, run_pb2
from weft.threads.v1 import message_pb2
from weft_agent_runner import equipper

ROLE_TOOL = message_pb2.ROLE_TOOL


async def test_answer_is_logged_from_start_to_end_when_the_model_needs_no_tools(world: World) -> None:
    world.agent("scripted:count=20")
    async with world.runner():
        run = await world.ended(world.queue.add_run("hello"))
    kinds = [kind for kind in run.kinds() if kind != "message_delta"]
    assert kinds == [
        *("run_queued", "run_started", "step_started", "message_started"),
        *("usage_updated", "message_completed", "run_succeeded"),
    ]
    assert run.state == run_pb2.RUN_STATE_SUCCEEDED
    assert run.events[-1].run_succeeded.finish == run_pb2.FINISH_STOP
    assert run.answer().startswith('You said: "hello"')
    assert run.shown(run.steps[0].message_id) == run.answer()
    assert (run.usage.model_calls, run.usage.output_tokens) == (1, 20)


async def test_model_is_told_instructions_and_context_when_it_is_called(world: World) -> None:
    world.agent("scripted")
    world.queue.spec.task_instructions = "Answer questions."
    async with world.runner():
        await world.ended(world.queue.add_run("hello"))
    (call,) = world.model.log.find()
    assert [(message["role"], message["content"]) for message in call.messages] == [
        ("system", "Be brief.\n\nAnswer questions."),
        ("user", "hello"),
    ]


async def test_a_key_that_is_changed_meanwhile_is_used_by_a_run_that_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(equipper, "_KEYS_MAX_AGE_SECONDS", 0.0)
    world.agent("scripted:tools=1,tool=slow", "slow")
    world.tools.gates["slow"] = asyncio.Event()
    world.queue.model_key = "sk-old"
    async with world.runner():
        run = world.queue.add_run("go")
        await world.shows(run, "tool_progress")
        world.queue.model_key = "sk-new"
        world.tools.gates["slow"].set()
        await world.ended(run)
    used = [call.key_sha256 for call in world.model.log.find()]
    assert used == [hashlib.sha256(key).hexdigest() for key in (b"sk-old", b"sk-new")]


async def test_first_delta_is_committed_at_once_when_the_model_is_slow(world: World) -> None:
    world.agent("scripted:tps=4,count=8")
    async with world.runner():
        run = world.queue.add_run()
        first = await world.shows(run, "message_delta")
        call = world.model.log.find()[0]
        assert call.tokens_sent <= 2
        assert first.message_delta.offset == 0
        await world.ended(run)
    assert run.kinds().count("message_delta") >= 7


async def test_deltas_share_commits_when_the_model_is_fast(world: World) -> None:
    world.agent("scripted:tps=1000,count=400")
    async with world.runner():
        run = await world.ended(world.queue.add_run())
    assert run.kinds().count("message_delta") <= 60
    assert run.shown(run.steps[0].message_id) == run.answer()


async def test_tool_results_come_in_call_order_when_the_first_call_is_the_slowest(world: World) -> None:
    world.agent("scripted:tools=1,tool=slow,calls=3", "slow", "other")
    world.tools.gates["slow"] = asyncio.Event()
    async with world.runner():
        run = world.queue.add_run("go")
        await world.shows(run, "tool_progress", 3)
        assert len(world.tools.executed) == 3
        assert "tool_completed" not in run.kinds()
        world.tools.gates["slow"].set()
        await world.ended(run)
    results = [m.parts[0].tool_result for m in run.messages if m.role == ROLE_TOOL]
    assert [result.index for result in results] == [0, 1, 2]
    assert world.tools.places() == [(1, 0), (1, 1), (1, 2)]
    assert run.kinds().count("tool_executing") == 3
    assert "slow returned" in run.answer()
    assert run.state == run_pb2.RUN_STATE_SUCCEEDED


async def test_model_message_is_stored_when_its_first_tool_call_begins(world: World) -> None:
    world.agent("scripted:tools=1,tool=slow", "slow")
    world.tools.gates["slow"] = asyncio.Event()
    async with world.runner():
        run = world.queue.add_run("go")
        await world.queue.until(lambda: bool(world.tools.executed) or run.is_ended)
        await world.shows(run, "tool_executing")
        assert [step.state for step in run.steps] == ["succeeded"]
        assert run.pending_calls()[0].call.name == "slow"
        world.tools.gates["slow"].set()
        await world.ended(run)


async def test_last_model_call_is_offered_no_tools_when_the_agent_allows_no_more(world: World) -> None:
    world.agent("scripted:tools=9,tool=echo", "echo", max_model_calls=3)
    async with world.runner():
        run = await world.ended(world.queue.add_run("go"))
    calls = world.model.log.find()
    assert [call.tools for call in calls] == [["echo"], ["echo"], []]
    assert run.events[-1].run_succeeded.finish == run_pb2.FINISH_ITERATION_LIMIT
    assert run.answer()
    assert not run.pending_calls()


async def test_calls_beyond_the_limit_are_refused_and_told_when_a_turn_asks_for_more(world: World) -> None:
    world.agent("scripted:tools=1,tool=echo,calls=5", "echo", max_tool_calls_per_turn=3)
    async with world.runner():
        run = await world.ended(world.queue.add_run("go"))
    assert len(world.tools.executed) == 3
    refused = [event.tool_failed for event in run.events if event.WhichOneof("payload") == "tool_failed"]
    assert [failed.reason for failed in refused] == [event_pb2.TOOL_FAILURE_REASON_TOO_MANY_CALLS] * 2
    assert [failed.index for failed in refused] == [3, 4]
    assert run.kinds().count("tool_executing") == 3
    assert len(world.model.log.find()[1].messages) == 2 + 1 + 5


async def test_model_is_told_what_was_wrong_when_its_arguments_are_not_json(world: World) -> None:
    world.agent("scripted:tools=1,tool=echo,args=invalid", "echo")
    async with world.runner():
        run = await world.ended(world.queue.add_run("go"))
    failed = (await world.shows(run, "tool_failed")).tool_failed
    assert failed.reason == event_pb2.TOOL_FAILURE_REASON_ARGUMENTS_INVALID
    assert "not JSON" in world.model.log.find()[1].messages[-1]["content"]
    assert run.state == run_pb2.RUN_STATE_SUCCEEDED


async def test_model_is_told_that_a_tool_does_not_exist_when_it_makes_one_up(world: World) -> None:
    world.agent("scripted:tools=1,tool=nonsense", "echo")
    async with world.runner():
        run = await world.ended(world.queue.add_run("go"))
    failed = (await world.shows(run, "tool_failed")).tool_failed
    assert failed.reason == event_pb2.TOOL_FAILURE_REASON_UNKNOWN_TOOL
    assert failed.message_id
    assert run.state == run_pb2.RUN_STATE_SUCCEEDED


async def test_agent_and_tools_are_loaded_once_when_many_runs_start_at_once(world: World) -> None:
    world.agent("scripted", "echo")
    runs = [world.queue.add_run(f"hello {n}", agent_version_id=f"agv_{n % 2:026d}") for n in range(20)]
    async with world.runner():
        for run in runs:
            await world.ended(run)
    assert world.queue.calls["GetAgentVersion"] == 2
    assert world.tools.lists == 2


async def test_runs_share_commits_when_many_stream_at_once(world: World) -> None:
    world.agent("scripted:tps=100,count=50")
    runs = [world.queue.add_run(f"hello {n}") for n in range(20)]
    async with world.runner():
        for run in runs:
            await world.ended(run)
    sizes = Counter(len(commit.entries) for commit in world.queue.commits)
    assert max(sizes) > 5
    assert all(run.shown(run.steps[0].message_id) == run.answer() for run in runs)


async def test_context_is_read_apart_when_it_is_too_large_for_the_claim(world: World) -> None:
    world.queue.inline_context_bytes = 100
    world.agent("scripted")
    text = "word " * 1000
    async with world.runner():
        run = await world.ended(world.queue.add_run(text))
    assert world.queue.calls["ReadContext"] == 1
    assert world.model.log.find()[0].user_text == text
    assert run.state == run_pb2.RUN_STATE_SUCCEEDED


async def test_run_fails_without_a_model_call_when_its_context_is_too_large(world: World) -> None:
    world.agent("scripted")
    async with world.runner(max_context_bytes=2000):
        run = await world.ended(world.queue.add_run("word " * 1000))
    assert run.events[-1].run_failed.failure.reason == run_pb2.FAILURE_REASON_CONTEXT_TOO_LARGE
    assert not world.model.log.find()


async def test_results_of_many_calls_are_written_in_order_when_they_need_several_entries(world: World) -> None:
    world.agent("scripted:tools=1,tool=echo,calls=40", "echo", max_tool_calls_per_turn=40)
    async with world.runner():
        run = await world.ended(world.queue.add_run("go"))
    results = [m.parts[0].tool_result.index for m in run.messages if m.role == ROLE_TOOL]
    assert results == list(range(40))
    assert run.state == run_pb2.RUN_STATE_SUCCEEDED
    assert max(len(entry.messages) for commit in world.queue.commits for entry in commit.entries) <= 16


async def test_run_fails_when_an_answer_has_more_tool_calls_than_any_plan_needs(world: World) -> None:
    world.agent("scripted:tools=1,tool=echo,calls=500", "echo")
    async with world.runner():
        run = await world.ended(world.queue.add_run("go"))
    assert run.events[-1].run_failed.failure.reason == run_pb2.FAILURE_REASON_MODEL_ANSWER_INVALID
    assert not world.tools.executed
