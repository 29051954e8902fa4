"""Recipes of runs: for callers, for runners, for the gateway."""

from google.protobuf.message import Message
from weft.runner.v1 import agent_runner_service_pb2 as runner
from weft.runs.v1 import event_pb2
from weft.runs.v1 import run_log_service_pb2 as run_log
from weft.runs.v1 import run_queue_service_pb2 as queue
from weft.runs.v1 import run_service_pb2 as runs
from weft.threads.v1 import attachment_pb2
from weft.threads.v1 import attachment_service_pb2 as files

from every_rpc.recipe import Asked, new_key, plain, recipe
from every_rpc.world import Estate


@plain(runs.GetRunRequest)
def _(estate: Estate) -> Message:
    return runs.GetRunRequest(run_id=estate.run_id)


@plain(runs.ListRunsRequest)
def _(estate: Estate) -> Message:
    return runs.ListRunsRequest(thread_id=estate.thread_id, agent_id=estate.agent_id, page_size=1)


@plain(runs.WaitRunRequest)
def _(estate: Estate) -> Message:
    return runs.WaitRunRequest(run_id=estate.ended_run_id)


@recipe(runs.CancelRunRequest, "run")
async def cancel_run(estate: Estate) -> Asked:
    return Asked(runs.CancelRunRequest(run_id=(await estate.make_run()).run_id))


@recipe(runs.CancelRunRequest, "request")
async def cancel_request(estate: Estate) -> Asked:
    key = new_key()
    await estate.make_run(request_id=key)
    return Asked(runs.CancelRunRequest(request_id=key))


@plain(queue.RegisterRunnerRequest)
def _(estate: Estate) -> Message:
    return queue.RegisterRunnerRequest(host="test")


@plain(queue.HeartbeatRequest)
def _(estate: Estate) -> Message:
    return queue.HeartbeatRequest(runner_id=estate.world.runner_id)


@recipe(queue.ClaimRunsRequest)
async def claim_runs(estate: Estate) -> Asked:
    return Asked(queue.ClaimRunsRequest(runner_id=await estate.world.register_runner(), max_runs=1))


@recipe(queue.CommitRequest)
async def commit(estate: Estate) -> Asked:
    run = await estate.make_claimed_run()
    delta = event_pb2.MessageDelta(message_id=run.begun_step.message_id, text="words")
    entry = queue.CommitEntry(
        tenant_id=run.tenant_id,
        run_id=run.run_id,
        epoch=run.epoch,
        expected_seq=run.last_seq,
        events=[event_pb2.RunEvent(message_delta=delta)],
    )
    return Asked(queue.CommitRequest(runner_id=estate.world.runner_id, entries=[entry]))


@recipe(queue.ReleaseRequest)
async def release(estate: Estate) -> Asked:
    run = await estate.make_claimed_run()
    owned = queue.OwnedRun(tenant_id=run.tenant_id, run_id=run.run_id, epoch=run.epoch)
    return Asked(queue.ReleaseRequest(runner_id=estate.world.runner_id, runs=[owned]))


@recipe(queue.ReadContextRequest)
async def read_context(estate: Estate) -> Asked:
    run = await estate.make_claimed_run()
    return Asked(queue.ReadContextRequest(run_id=run.run_id, epoch=run.epoch), run.run_token)


@recipe(queue.OfferTitleRequest)
async def offer_title(estate: Estate) -> Asked:
    run = await estate.make_claimed_run()
    return Asked(queue.OfferTitleRequest(run_id=run.run_id, title="A title"), run.run_token)


async def _file_of_a_run(estate: Estate) -> tuple[queue.ClaimedRun, str]:
    file = attachment_pb2.NewAttachment(name="a.txt", content=b"words")
    run = await estate.make_claimed_run(attachments=[file])
    return run, run.pending_attachments[0].attachment_id


@recipe(files.ReadAttachmentRequest)
async def read_attachment(estate: Estate) -> Asked:
    run, file = await _file_of_a_run(estate)
    request = files.ReadAttachmentRequest(run_id=run.run_id, epoch=run.epoch, attachment_id=file)
    return Asked(request, run.run_token)


@recipe(files.FinishAttachmentRequest)
async def finish_attachment(estate: Estate) -> Asked:
    run, file = await _file_of_a_run(estate)
    request = files.FinishAttachmentRequest(
        run_id=run.run_id, epoch=run.epoch, attachment_id=file, extracted=files.ExtractedText(text="words")
    )
    return Asked(request, run.run_token)


@plain(run_log.ReadEventsRequest)
def _(estate: Estate) -> Message:
    return run_log.ReadEventsRequest(run_id=estate.run_id)


@plain(run_log.ReadThreadEventsRequest)
def _(estate: Estate) -> Message:
    return run_log.ReadThreadEventsRequest(thread_id=estate.thread_id)


@plain(run_log.GetHeadsRequest)
def _(estate: Estate) -> Message:
    return run_log.GetHeadsRequest(
        runs=[run_log.RunKey(tenant_id=estate.tenant_id, run_id=estate.run_id)],
        threads=[run_log.ThreadKey(tenant_id=estate.tenant_id, thread_id=estate.thread_id)],
    )


@plain(runner.ListActiveRunsRequest)
def _(estate: Estate) -> Message:
    return runner.ListActiveRunsRequest()


@plain(runner.GetRunnerRequest)
def _(estate: Estate) -> Message:
    return runner.GetRunnerRequest()


@plain(runner.DrainRequest)
def _(estate: Estate) -> Message:
    return runner.DrainRequest()


@recipe(queue.GetModelKeyRequest)
async def get_model_key(estate: Estate) -> Asked:
    run = await estate.make_claimed_run()
    return Asked(queue.GetModelKeyRequest(), run.run_token)
