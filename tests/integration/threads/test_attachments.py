"""Files that come with a message, on the real service: stored with it, handed to its run, and finished once."""

import asyncio
import hashlib
from typing import Any

import asyncpg
import grpc
import pytest
from runs_world import superuser_url
from threads_world import Client, ThreadsWorld, refused, unknown_id, uuid_from
from weft.runs.v1 import admission_service_pb2, run_pb2, run_queue_service_pb2, thread_event_pb2
from weft.tenants.v1 import tenant_service_pb2
from weft.threads.v1 import attachment_pb2, message_pb2, thread_service_pb2
from weft.threads.v1 import attachment_service_pb2 as pb
from weft_cli.stack import Stack

LIMIT = 15 << 20


def a_file(content: bytes = b"words", name: str = "a.txt", media_type: str = "") -> attachment_pb2.NewAttachment:
    return attachment_pb2.NewAttachment(name=name, media_type=media_type, content=content)


async def initiate(
    client: Client, *files: attachment_pb2.NewAttachment, text: str = "read this", **fields: Any
) -> admission_service_pb2.InitiateRunResponse:
    request = admission_service_pb2.InitiateRunRequest(text=text, attachments=files, **fields)
    return await client.admission.InitiateRun(request)


async def claim(world: ThreadsWorld, run_id: str) -> run_queue_service_pb2.ClaimedRun:
    """Take the run up, passing over what other tests left in the queue."""
    queue = world.service("agent-runner").queue
    runner = await queue.RegisterRunner(run_queue_service_pb2.RegisterRunnerRequest(host="test"))
    async with asyncio.timeout(10):
        while True:
            request = run_queue_service_pb2.ClaimRunsRequest(runner_id=runner.runner_id, max_runs=50)
            for claimed in (await queue.ClaimRuns(request)).runs:
                if claimed.run_id == run_id:
                    return claimed


class Reader:
    """A run that reads files."""

    def __init__(self, world: ThreadsWorld, run: run_queue_service_pb2.ClaimedRun) -> None:
        self.run, self.client = run, world.client(run.run_token)

    async def read(self, attachment_id: str, epoch: int | None = None) -> tuple[bytes, pb.AttachmentEnd]:
        request = pb.ReadAttachmentRequest(
            run_id=self.run.run_id, epoch=epoch or self.run.epoch, attachment_id=attachment_id
        )
        responses = [response async for response in self.client.attachments.ReadAttachment(request)]
        assert all(len(response.content) <= 1 << 20 for response in responses)
        return b"".join(response.content for response in responses), responses[-1].end

    async def finish(self, attachment_id: str, text: str = "", failure: str = "", epoch: int | None = None) -> None:
        request = pb.FinishAttachmentRequest(
            run_id=self.run.run_id, epoch=epoch or self.run.epoch, attachment_id=attachment_id
        )
        if failure:
            request.failure.reason = attachment_pb2.AttachmentFailure.REASON_MALFORMED
            request.failure.message = failure
        else:
            request.extracted.text, request.extracted.media_type = text, "text/plain"
        await self.client.attachments.FinishAttachment(request)

    async def context(self) -> str:
        request = run_queue_service_pb2.ReadContextRequest(run_id=self.run.run_id, epoch=self.run.epoch)
        messages = [m async for response in self.client.queue.ReadContext(request) for m in response.context]
        return messages[-1].parts[0].text


async def a_reader(
    world: ThreadsWorld, *files: attachment_pb2.NewAttachment
) -> tuple[Client, Reader, list[attachment_pb2.Attachment]]:
    _, client = await world.tenant()
    made = await initiate(client, *files)
    reader = Reader(world, await claim(world, made.run_id))
    return client, reader, await attachments_of(client, made.thread_id)


async def messages_of(client: Client, thread_id: str) -> list[message_pb2.Message]:
    request = thread_service_pb2.ListMessagesRequest(thread_id=thread_id)
    return list((await client.threads.ListMessages(request)).messages)


async def attachments_of(client: Client, thread_id: str) -> list[attachment_pb2.Attachment]:
    parts = [part for message in await messages_of(client, thread_id) for part in message.parts]
    return [part.attachment for part in parts if part.HasField("attachment")]


async def thread_log(stack: Stack, thread_id: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(superuser_url(stack))
    try:
        query = "SELECT type, payload FROM thread_events WHERE thread_id = $1 ORDER BY seq"
        return list(await connection.fetch(query, uuid_from(thread_id)))
    finally:
        await connection.close()


@pytest.mark.row("A3")
async def test_files_are_stored_with_their_message_and_handed_to_the_run(world: ThreadsWorld) -> None:
    pieces = bytes(range(256)) * 4096 * 3 + b"end"
    _, reader, (first, second) = await a_reader(world, a_file(pieces, "a.md"), a_file(b"", "b"))
    assert (first.name, first.media_type, first.size_bytes) == ("a.md", "text/markdown", len(pieces))
    assert (second.name, second.media_type, second.size_bytes) == ("b", "", 0)
    assert {first.state, second.state} == {attachment_pb2.Attachment.STATE_PENDING}
    assert [each.attachment_id for each in reader.run.pending_attachments] == [
        first.attachment_id,
        second.attachment_id,
    ]
    content, end = await reader.read(first.attachment_id)
    assert content == pieces
    assert end == pb.AttachmentEnd(size_bytes=len(pieces), sha256=hashlib.sha256(pieces).digest())
    assert await reader.read(second.attachment_id) == (
        b"",
        pb.AttachmentEnd(size_bytes=0, sha256=hashlib.sha256(b"").digest()),
    )
    assert "nobody has read it yet" in await reader.context()


@pytest.mark.row("A3")
async def test_text_of_a_file_is_in_its_message_the_context_and_the_thread_log(
    world: ThreadsWorld, stack: Stack
) -> None:
    client, reader, (file,) = await a_reader(world, a_file())
    before = (await messages_of(client, reader.run.thread_id))[0]
    await reader.finish(file.attachment_id, "the words\0")
    after = (await messages_of(client, reader.run.thread_id))[0]
    ready = after.parts[1].attachment
    assert (ready.state, ready.text) == (attachment_pb2.Attachment.STATE_READY, "the words\ufffd")
    assert (after.message_id, after.turn, after.index) == (before.message_id, before.turn, before.index)
    assert await reader.context() == (
        'read this\n\n<attachment name="a.txt" media_type="text/plain">\nthe words\ufffd\n</attachment>'
    )
    *_, event = await thread_log(stack, reader.run.thread_id)
    told = thread_event_pb2.ThreadAttachmentReady.FromString(event["payload"])
    assert (event["type"], told.message_id) == ("attachment.ready", before.message_id)
    assert (told.attachment.attachment_id, told.attachment.text) == (file.attachment_id, "")
    assert not (await get_thread(client, reader.run.thread_id)).HasField("attention")


async def get_thread(client: Client, thread_id: str) -> Any:
    return (await client.threads.GetThread(thread_service_pb2.GetThreadRequest(thread_id=thread_id))).thread


@pytest.mark.row("A3")
async def test_failure_is_an_event_a_state_and_the_threads_attention_until_it_is_cleared(
    world: ThreadsWorld, stack: Stack
) -> None:
    client, reader, (file,) = await a_reader(world, a_file(name="report.pdf"))
    await reader.finish(file.attachment_id, failure="it is damaged")
    (failed,) = await attachments_of(client, reader.run.thread_id)
    assert failed.state == attachment_pb2.Attachment.STATE_FAILED
    assert failed.failure == attachment_pb2.AttachmentFailure(
        reason=attachment_pb2.AttachmentFailure.REASON_MALFORMED, message="it is damaged"
    )
    *_, event = await thread_log(stack, reader.run.thread_id)
    told = thread_event_pb2.ThreadAttachmentFailed.FromString(event["payload"])
    assert (event["type"], told.attachment) == ("attachment.failed", failed)
    assert 'The attachment "report.pdf" could not be read: it is damaged' in await reader.context()
    thread = await get_thread(client, reader.run.thread_id)
    assert thread.attention.message == "the attachment 'report.pdf' could not be read: it is damaged"
    assert thread.attention.time.seconds > 0
    cleared = await client.threads.UpdateThread(
        thread_service_pb2.UpdateThreadRequest(thread_id=thread.thread_id, update_mask={"paths": ["attention"]})  # type: ignore[arg-type]
    )
    assert not cleared.thread.HasField("attention")
    assert cleared.thread.title == thread.title


async def test_first_outcome_of_a_file_stays(world: ThreadsWorld, stack: Stack) -> None:
    client, reader, (file,) = await a_reader(world, a_file())
    await asyncio.gather(*(reader.finish(file.attachment_id, "text") for _ in range(10)))
    await reader.finish(file.attachment_id, failure="too late")
    (ready,) = await attachments_of(client, reader.run.thread_id)
    assert (ready.state, ready.text) == (attachment_pb2.Attachment.STATE_READY, "text")
    types = [row["type"] for row in await thread_log(stack, reader.run.thread_id)]
    assert types.count("attachment.ready") == 1
    assert "attachment.failed" not in types
    assert not (await get_thread(client, reader.run.thread_id)).HasField("attention")


async def test_files_of_one_message_are_finished_side_by_side(world: ThreadsWorld) -> None:
    client, reader, files = await a_reader(world, *(a_file(name=f"{n}.txt") for n in range(16)))
    await asyncio.gather(*(reader.finish(each.attachment_id, f"text of {each.name}") for each in files))
    texts = [each.text for each in await attachments_of(client, reader.run.thread_id)]
    assert texts == [f"text of {n}.txt" for n in range(16)]


async def test_run_reads_and_finishes_files_of_its_own_thread_under_its_own_epoch_only(world: ThreadsWorld) -> None:
    client, reader, (file,) = await a_reader(world, a_file())
    made = await initiate(client, a_file())
    other = Reader(world, await claim(world, made.run_id))
    with refused("ATTACHMENT_NOT_FOUND", grpc.StatusCode.NOT_FOUND):
        await other.read(file.attachment_id)
    with refused("ATTACHMENT_NOT_FOUND"):
        await other.finish(file.attachment_id, "not mine")
    with refused("ATTACHMENT_NOT_FOUND"):
        await reader.read(unknown_id("att"))
    with refused("EPOCH_STALE", grpc.StatusCode.FAILED_PRECONDITION):
        await reader.read(file.attachment_id, epoch=reader.run.epoch + 1)
    with refused("EPOCH_STALE"):
        await reader.finish(file.attachment_id, "stale", epoch=reader.run.epoch + 1)
    other.client = client
    with refused("TOKEN_INVALID"):
        await other.finish(file.attachment_id, "no run")
    (pending,) = await attachments_of(client, reader.run.thread_id)
    assert pending.state == attachment_pb2.Attachment.STATE_PENDING


async def test_same_key_with_the_same_files_is_answered_and_with_others_refused(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    first = await initiate(client, a_file(b"one"), a_file(b"two", "b.txt"), request_id="r")
    assert await initiate(client, a_file(b"one"), a_file(b"two", "b.txt"), request_id="r") == first
    assert len(await attachments_of(client, first.thread_id)) == 2
    for others in (
        [a_file(b"one"), a_file(b"TWO", "b.txt")],
        [a_file(b"one"), a_file(b"two", "c.txt")],
        [a_file(b"one"), a_file(b"two", "b.txt", "text/markdown")],
        [a_file(b"two", "b.txt"), a_file(b"one")],
        [a_file(b"one")],
        [],
    ):
        with refused("REQUEST_ID_REUSED"):
            await initiate(client, *others, request_id="r")


async def test_15_mib_are_taken_and_a_byte_more_is_refused(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    whole = bytes(LIMIT)
    made = await initiate(client, a_file(whole))
    assert (await attachments_of(client, made.thread_id))[0].size_bytes == LIMIT
    with refused("INVALID_FIELDS", grpc.StatusCode.INVALID_ARGUMENT) as refusal:
        await initiate(client, a_file(whole + b"x"))
    assert refusal.fields == {"attachments[0].content"}
    with refused("INVALID_FIELDS", grpc.StatusCode.INVALID_ARGUMENT) as refusal:
        await initiate(client, a_file(whole[:-10]), a_file(b"eleven byte"))
    assert refusal.fields == {"attachments"}
    assert str(LIMIT) in refusal.message


@pytest.mark.parametrize("name", ["", "a/b", "../x", "a\\b", "a\nb", "a\0", "x" * 256])
async def test_wrong_name_is_refused(world: ThreadsWorld, name: str) -> None:
    _, client = await world.tenant()
    with refused("INVALID_FIELDS") as refusal:
        await initiate(client, a_file(name=name))
    assert refusal.fields == {"attachments[0].name"}


@pytest.mark.parametrize("media_type", ["text", "text/", "a b/c", "text/plain\n", "x" * 128])
async def test_wrong_media_type_is_refused(world: ThreadsWorld, media_type: str) -> None:
    _, client = await world.tenant()
    with refused("INVALID_FIELDS") as refusal:
        await initiate(client, a_file(media_type=media_type))
    assert refusal.fields == {"attachments[0].media_type"}


@pytest.mark.parametrize("media_type", ["text/plain; charset=utf-8", "application/vnd.a.b+json", "image/png"])
async def test_kind_that_is_not_read_is_no_reason_to_refuse(world: ThreadsWorld, media_type: str) -> None:
    _, client = await world.tenant()
    made = await initiate(client, a_file(media_type=media_type))
    assert (await attachments_of(client, made.thread_id))[0].media_type == media_type


async def test_seventeenth_file_is_refused(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    with refused("INVALID_FIELDS") as refusal:
        await initiate(client, *[a_file()] * 17)
    assert refusal.fields == {"attachments"}


async def test_message_with_an_attachment_is_not_made_by_hand(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    thread = (await client.threads.CreateThread(thread_service_pb2.CreateThreadRequest())).thread
    part = message_pb2.Part(attachment=attachment_pb2.Attachment(name="a", text="made up"))
    with refused("INVALID_FIELDS"):
        await client.threads.CreateMessage(
            thread_service_pb2.CreateMessageRequest(
                thread_id=thread.thread_id, role=message_pb2.ROLE_USER, parts=[part]
            )
        )


async def test_run_that_takes_over_others_is_handed_their_files_too(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    first = await initiate(client, a_file(name="one.txt"))
    merge = run_pb2.BUSY_STRATEGY_MERGE
    second = await initiate(client, a_file(name="two.txt"), thread_id=first.thread_id, busy_strategy=merge)
    assert second.is_merged
    reader = Reader(world, await claim(world, second.run_id))
    assert [each.name for each in reader.run.pending_attachments] == ["one.txt", "two.txt"]
    for each in reader.run.pending_attachments:
        await reader.finish(each.attachment_id, f"text of {each.name}")
    context = await reader.context()
    assert context.index("text of one.txt") < context.index("\n---\n") < context.index("text of two.txt")


async def test_tenant_is_deleted_with_its_files(world: ThreadsWorld, stack: Stack) -> None:
    tenant, client = await world.tenant()
    await initiate(client, a_file())
    request = tenant_service_pb2.DeleteTenantRequest(tenant_id=tenant.tenant_id, force=True)
    await world.operator.tenants.DeleteTenant(request)
    connection = await asyncpg.connect(superuser_url(stack))
    try:
        count = await connection.fetchval(
            "SELECT count(*) FROM attachments WHERE tenant_id = $1", uuid_from(tenant.tenant_id)
        )
    finally:
        await connection.close()
    assert count == 0
