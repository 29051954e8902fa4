import asyncio

import grpc
import pytest
from google.protobuf import duration_pb2
from run_queue_worlds import QueueWorld
from weft.runs.v1 import event_pb2, run_pb2
from weft.runs.v1 import run_queue_service_pb2 as pb
from weft.threads.v1 import message_pb2
from weft_grpckit.status import reason_of

STRANGER = "rnr_01h455vb4pex5vsknk084sn02q"


async def register(world: QueueWorld) -> str:
    return (await world.queue.RegisterRunner(pb.RegisterRunnerRequest(host="test"))).runner_id


async def claim(world: QueueWorld, runner_id: str) -> pb.ClaimedRun:
    (run,) = (await world.queue.ClaimRuns(pb.ClaimRunsRequest(runner_id=runner_id, max_runs=10))).runs
    return run


async def commit(world: QueueWorld, runner_id: str, *entries: pb.CommitEntry) -> list[pb.CommitResult]:
    return list((await world.queue.Commit(pb.CommitRequest(runner_id=runner_id, entries=entries))).results)


async def kinds(world: QueueWorld, run_id: str) -> list[str]:
    events = await world.events(run_id)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    return [event.WhichOneof("payload") or "" for event in events]


def entry(run: pb.ClaimedRun, expected_seq: int, **fields: object) -> pb.CommitEntry:
    return pb.CommitEntry(
        tenant_id=run.tenant_id,
        run_id=run.run_id,
        epoch=run.epoch,
        expected_seq=expected_seq,
        **fields,  # type: ignore[arg-type]
    )


def delta(run: pb.ClaimedRun, text: str) -> event_pb2.RunEvent:
    return event_pb2.RunEvent(
        message_delta=event_pb2.MessageDelta(message_id=run.begun_step.message_id, offset=0, text=text)
    )


def answered(run: pb.ClaimedRun, *parts: message_pb2.Part) -> dict[str, object]:
    """The end of the first model call, with its message."""
    message = pb.NewMessage(message_id=run.begun_step.message_id, step=1, role=message_pb2.ROLE_ASSISTANT, parts=parts)
    return {
        "finish_step": pb.FinishStep(step=1, attempt=run.begun_step.attempt, is_succeeded=True),
        "messages": [message],
    }


def tool_call(index: int) -> message_pb2.Part:
    return message_pb2.Part(
        tool_call=message_pb2.ToolCall(call_id="same", name="echo", arguments_json="{}", index=index)
    )


def tool_result(index: int) -> pb.NewMessage:
    result = message_pb2.ToolResult(call_id="same", name="echo", content="done", index=index)
    completed = event_pb2.ToolCompleted(step=1, index=index, call_id="same", name="echo", content="done")
    return pb.NewMessage(
        step=1,
        role=message_pb2.ROLE_TOOL,
        parts=[message_pb2.Part(tool_result=result)],
        tool_event=event_pb2.RunEvent(tool_completed=completed),
    )


async def test_claim_that_waits_is_answered_when_a_run_is_ready_and_with_none_at_its_end(
    world: QueueWorld,
) -> None:
    runner_id = await register(world)
    request = pb.ClaimRunsRequest(runner_id=runner_id, max_runs=10, wait=duration_pb2.Duration(seconds=8))
    held = asyncio.create_task(_answer(world, request))
    await asyncio.sleep(0.2)
    assert not held.done()
    run_id = await world.initiate("hello")
    assert [run.run_id for run in (await held).runs] == [run_id]
    request.wait.FromMilliseconds(50)
    assert not (await _answer(world, request)).runs


async def _answer(world: QueueWorld, request: pb.ClaimRunsRequest) -> pb.ClaimRunsResponse:
    return await world.queue.ClaimRuns(request)


async def test_claim_brings_all_that_the_first_model_call_needs(world: QueueWorld) -> None:
    run_id, runner_id = await world.initiate("hello"), await register(world)
    run = await claim(world, runner_id)
    assert (run.run_id, run.epoch, run.attempt, run.last_seq) == (run_id, 1, 1, 3)
    assert (run.begun_step.step, run.begun_step.attempt) == (1, 1)
    assert [part.text for message in run.context for part in message.parts] == ["hello"]
    assert run.usage.model_calls == 1
    assert not run.is_context_separate
    assert 290 < run.remaining.seconds <= 300
    assert await kinds(world, run_id) == ["run_queued", "run_started", "step_started"]
    assert not (await world.queue.ClaimRuns(pb.ClaimRunsRequest(runner_id=runner_id, max_runs=10))).runs


async def test_entry_is_written_once_when_it_is_sent_twice(world: QueueWorld) -> None:
    run_id, runner_id = await world.initiate("hello"), await register(world)
    run = await claim(world, runner_id)
    plain = entry(run, 3, events=[delta(run, "hi")])
    for _ in range(2):
        (result,) = await commit(world, runner_id, plain)
        assert (result.epoch, result.last_seq, result.state) == (1, 4, run_pb2.RUN_STATE_RUNNING)
    final = entry(run, 4, **answered(run, message_pb2.Part(text="hi")), transition=pb.Transition(succeed=SUCCEED))
    for _ in range(2):
        (result,) = await commit(world, runner_id, final)
        assert (result.epoch, result.last_seq, result.state) == (1, 6, run_pb2.RUN_STATE_SUCCEEDED)
    assert (await kinds(world, run_id))[3:] == ["message_delta", "message_completed", "run_succeeded"]


async def test_nothing_is_written_when_the_epoch_or_the_seq_is_another(world: QueueWorld) -> None:
    run_id, runner_id = await world.initiate("hello"), await register(world)
    run = await claim(world, runner_id)
    wrong_seq = entry(run, 2, events=[delta(run, "hi")])
    (result,) = await commit(world, runner_id, wrong_seq)
    assert (result.epoch, result.last_seq) == (1, 3)
    wrong_epoch = entry(run, 3, transition=pb.Transition(stop=pb.Stop()))
    wrong_epoch.epoch = 7
    (result,) = await commit(world, runner_id, wrong_epoch)
    assert (result.epoch, result.last_seq, result.state) == (1, 3, run_pb2.RUN_STATE_RUNNING)
    assert len(await kinds(world, run_id)) == 3


async def test_begun_step_is_answered_again_when_its_entry_is_sent_again(world: QueueWorld) -> None:
    await world.initiate("hello")
    runner_id = await register(world)
    run = await claim(world, runner_id)
    failed = pb.FinishStep(step=1, attempt=1, error="cut", discard_message=True)
    again = entry(run, 3, finish_step=failed, begin_step=pb.BeginStep(step=1, attempt=2))
    (first,) = await commit(world, runner_id, again)
    (second,) = await commit(world, runner_id, again)
    assert first == second
    assert (first.begun_step.step, first.begun_step.attempt, first.last_seq) == (1, 2, 5)
    assert first.begun_step.message_id not in ("", run.begun_step.message_id)
    assert (await kinds(world, run.run_id))[3:] == ["message_discarded", "step_started"]


async def test_tool_calls_without_a_result_are_pending_when_a_run_is_claimed_again(world: QueueWorld) -> None:
    run_id, runner_id = await world.initiate("hello"), await register(world)
    run = await claim(world, runner_id)
    (result,) = await commit(world, runner_id, entry(run, 3, **answered(run, *(tool_call(n) for n in range(3)))))
    (result,) = await commit(world, runner_id, entry(run, result.last_seq, messages=[tool_result(0)]))
    owned = pb.OwnedRun(tenant_id=run.tenant_id, run_id=run_id, epoch=1)
    assert (await world.queue.Release(pb.ReleaseRequest(runner_id=runner_id, runs=[owned]))).released == 1
    again = await claim(world, await register(world))
    assert (again.epoch, again.attempt, again.finished_steps) == (2, 1, 1)
    assert not again.HasField("begun_step")
    assert [(call.step, call.index) for call in again.pending_tool_calls] == [(1, 1), (1, 2)]
    (late,) = await commit(world, runner_id, entry(run, result.last_seq, messages=[tool_result(1)]))
    assert late.epoch == 2
    assert (await kinds(world, run_id))[-1] == "run_resumed"


async def test_open_model_call_is_cut_and_begun_anew_when_a_run_is_claimed_again(world: QueueWorld) -> None:
    run_id, runner_id = await world.initiate("hello"), await register(world)
    run = await claim(world, runner_id)
    owned = pb.OwnedRun(tenant_id=run.tenant_id, run_id=run_id, epoch=1)
    await world.queue.Release(pb.ReleaseRequest(runner_id=runner_id, runs=[owned]))
    again = await claim(world, runner_id)
    assert (again.begun_step.step, again.begun_step.attempt) == (1, 2)
    assert again.begun_step.message_id != run.begun_step.message_id
    assert (await kinds(world, run_id))[3:] == ["run_resumed", "message_discarded", "step_started"]


async def test_heartbeat_names_the_runs_that_are_to_stop(world: QueueWorld) -> None:
    run_id, runner_id = await world.initiate("hello"), await register(world)
    run = await claim(world, runner_id)
    (owned,) = (await world.queue.Heartbeat(pb.HeartbeatRequest(runner_id=runner_id))).owned_runs
    assert (owned.run_id, owned.epoch, owned.stop_requested) == (run_id, 1, False)
    await world.cancel(run_id)
    (owned,) = (await world.queue.Heartbeat(pb.HeartbeatRequest(runner_id=runner_id))).owned_runs
    assert owned.stop_requested
    (result,) = await commit(world, runner_id, entry(run, 3, events=[delta(run, "hi")]))
    assert (result.stop_requested, result.last_seq) == (True, 4)


async def test_run_ends_cancelled_whatever_its_runner_asks_when_it_was_cancelled(world: QueueWorld) -> None:
    run_id, runner_id = await world.initiate("hello"), await register(world)
    run = await claim(world, runner_id)
    await world.cancel(run_id)
    final = entry(run, 3, **answered(run, message_pb2.Part(text="hi")), transition=pb.Transition(succeed=SUCCEED))
    (result,) = await commit(world, runner_id, final)
    assert result.state == run_pb2.RUN_STATE_CANCELLED
    assert (await kinds(world, run_id))[-2:] == ["message_incomplete", "run_cancelled"]
    assert not (await world.queue.Heartbeat(pb.HeartbeatRequest(runner_id=runner_id))).owned_runs


async def test_run_waits_without_an_owner_when_it_is_parked(world: QueueWorld) -> None:
    run_id, runner_id = await world.initiate("hello"), await register(world)
    run = await claim(world, runner_id)
    park = pb.Park(reason=run_pb2.WAITING_REASON_PROVIDER_RATE)
    park.wake_after.FromSeconds(3600)
    failed = pb.FinishStep(step=1, attempt=1, error="429")
    (result,) = await commit(world, runner_id, entry(run, 3, finish_step=failed, transition=pb.Transition(park=park)))
    assert (result.state, result.epoch, result.last_seq) == (run_pb2.RUN_STATE_WAITING, 1, 4)
    assert (await kinds(world, run_id))[-1] == "run_waiting"
    assert not (await world.queue.Heartbeat(pb.HeartbeatRequest(runner_id=runner_id))).owned_runs


async def test_unknown_run_fails_alone_when_it_is_in_a_commit(world: QueueWorld) -> None:
    await world.initiate("hello")
    runner_id = await register(world)
    run = await claim(world, runner_id)
    good, unknown = entry(run, 3, events=[delta(run, "hi")]), entry(run, 3, transition=pb.Transition(stop=pb.Stop()))
    unknown.run_id = "run_01h455vb4pex5vsknk084sn02q"
    results = await commit(world, runner_id, unknown, good)
    assert results[0].data_error
    assert results[1].last_seq == 4


async def test_stranger_is_told_to_register(world: QueueWorld) -> None:
    for call in (
        world.queue.Heartbeat(pb.HeartbeatRequest(runner_id=STRANGER)),
        world.queue.ClaimRuns(pb.ClaimRunsRequest(runner_id=STRANGER, max_runs=1)),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call
        assert reason_of(refused.value) == "RUNNER_UNKNOWN"


SUCCEED = pb.Succeed(finish=run_pb2.FINISH_STOP)
