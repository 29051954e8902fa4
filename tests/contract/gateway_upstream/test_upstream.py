"""Every test holds for the fake and for the real threads: so what the gateway's tests show is true of both."""

import asyncio
import hashlib
from typing import Any
from uuid import UUID

import grpc
import pytest
from weft.runs.v1 import event_pb2, thread_event_pb2
from weft.runs.v1 import run_log_service_pb2 as pb
from weft.runs.v1 import run_log_service_pb2_grpc as rpc
from weft.tenants.v1 import credential_service_pb2 as credential_pb
from weft.tenants.v1 import credential_service_pb2_grpc as credential_rpc
from weft_core.ids import format_id
from weft_grpckit.program import end_tasks
from weft_grpckit.status import from_rpc_error, reason_of
from weft_grpckit.tokens import token_metadata
from weft_wire.live import LiveEvents


async def read(upstream: Any, tenant_id: UUID, run_id: str, after_seq: int = 0) -> pb.ReadEventsResponse:
    stub: Any = rpc.RunLogServiceStub(upstream.channel)
    token = upstream.signer.caller_token(tenant_id, "somebody", ["runs.read"])
    request = pb.ReadEventsRequest(run_id=run_id, after_seq=after_seq)
    page: pb.ReadEventsResponse = await stub.ReadEvents(request, metadata=token_metadata(token))
    return page


async def heads(upstream: Any, *keys: tuple[UUID, str]) -> dict[str, int]:
    stub: Any = rpc.RunLogServiceStub(upstream.channel)
    runs = [pb.RunKey(tenant_id=format_id("ten", tenant_id), run_id=run_id) for tenant_id, run_id in keys]
    metadata = token_metadata(upstream.signer.service_token("gateway"))
    response = await stub.GetHeads(pb.GetHeadsRequest(runs=runs), metadata=metadata)
    return {head.run_id: head.last_seq for head in response.heads}


async def test_a_log_is_read_from_any_point_up_to_its_head(upstream: Any) -> None:
    tenant = await upstream.make_tenant()
    run = await upstream.make_run(tenant)
    page = await read(upstream, tenant, run)
    seqs = [event_pb2.RunEvent.FromString(event).seq for event in page.events]
    assert seqs == list(range(1, page.last_seq + 1))
    assert not page.is_ended
    rest = await read(upstream, tenant, run, page.last_seq)
    assert (len(rest.events), rest.last_seq, rest.is_ended) == (0, page.last_seq, False)


async def test_an_ended_run_says_so_and_its_last_event_is_terminal(upstream: Any) -> None:
    tenant = await upstream.make_tenant()
    run = await upstream.make_run(tenant)
    await upstream.end_run(tenant, run)
    page = await read(upstream, tenant, run)
    assert page.is_ended
    assert len(page.events) == page.last_seq
    last = event_pb2.RunEvent.FromString(page.events[-1])
    assert (last.run_id, last.seq) == (run, page.last_seq)
    assert last.WhichOneof("payload") in ("run_succeeded", "run_cancelled")


async def test_a_cursor_beyond_the_head_is_told_the_head(upstream: Any) -> None:
    tenant = await upstream.make_tenant()
    run = await upstream.make_run(tenant)
    head = (await read(upstream, tenant, run)).last_seq
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await read(upstream, tenant, run, head + 1)
    found = from_rpc_error(caught.value)
    assert found is not None
    assert caught.value.code() is grpc.StatusCode.OUT_OF_RANGE
    assert (found.reason, found.metadata) == ("CURSOR_OUT_OF_RANGE", {"last_seq": str(head)})


async def test_a_run_of_another_tenant_is_like_one_that_does_not_exist(upstream: Any) -> None:
    tenant, other = await upstream.make_tenant(), await upstream.make_tenant()
    run = await upstream.make_run(tenant)
    told = []
    for run_id in (run, format_id("run", UUID(int=2**100))):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await read(upstream, other, run_id)
        told.append((caught.value.code(), reason_of(caught.value), caught.value.details()))
    assert told[0] == told[1]
    assert told[0][:2] == (grpc.StatusCode.NOT_FOUND, "RUN_NOT_FOUND")


async def test_heads_are_told_of_runs_that_exist_under_their_tenant(upstream: Any) -> None:
    tenant, other = await upstream.make_tenant(), await upstream.make_tenant()
    run, another = await upstream.make_run(tenant), await upstream.make_run(other)
    unknown = format_id("run", UUID(int=2**100))
    found = await heads(upstream, (tenant, run), (tenant, another), (tenant, unknown))
    assert found == {run: (await read(upstream, tenant, run)).last_seq}
    assert await heads(upstream) == {}


async def read_thread(upstream: Any, tenant_id: UUID, thread_id: str, **fields: Any) -> pb.ReadThreadEventsResponse:
    stub: Any = rpc.RunLogServiceStub(upstream.channel)
    token = upstream.signer.caller_token(tenant_id, "somebody", ["threads.read"])
    request = pb.ReadThreadEventsRequest(thread_id=thread_id, **fields)
    page: pb.ReadThreadEventsResponse = await stub.ReadThreadEvents(request, metadata=token_metadata(token))
    return page


def thread_events(page: pb.ReadThreadEventsResponse) -> list[thread_event_pb2.ThreadEvent]:
    return [thread_event_pb2.ThreadEvent.FromString(event) for event in page.events]


async def test_a_threads_log_is_read_from_any_point_up_to_its_head(upstream: Any) -> None:
    tenant = await upstream.make_tenant()
    thread = await upstream.make_thread(tenant)
    page = await read_thread(upstream, tenant, thread, with_open_run=True)
    events = thread_events(page)
    assert [event.seq for event in events] == [1, 2, 3, 4, 5]
    assert {event.thread_id for event in events} == {thread}
    types = [event.WhichOneof("payload") for event in events]
    assert types == ["message_created", "run_queued"] * 2 + ["run_ended"]
    assert events[4].run_ended.run_id == events[3].run_queued.run_id, "who never started has no mark of it"
    assert events[4].run_ended.terminal_event.HasField("run_cancelled")
    assert events[1].run_queued.message_id == events[0].message_created.message.message_id
    assert (page.last_seq, page.is_deleted, page.open_run_id) == (5, False, "")
    assert thread_events(await read_thread(upstream, tenant, thread, after_seq=3)) == events[3:]
    assert thread_events(await read_thread(upstream, tenant, thread, after_seq=5)) == []
    now = await read_thread(upstream, tenant, thread, from_now=True, with_open_run=True)
    assert (len(now.events), now.last_seq, now.open_run_id) == (0, 5, "")


async def test_a_thread_that_cannot_be_read_is_refused(upstream: Any) -> None:
    tenant, other = await upstream.make_tenant(), await upstream.make_tenant()
    thread = await upstream.make_thread(tenant)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await read_thread(upstream, tenant, thread, after_seq=6)
    found = from_rpc_error(caught.value)
    assert found is not None
    assert (found.reason, found.metadata) == ("CURSOR_OUT_OF_RANGE", {"last_seq": "5"})
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await read_thread(upstream, other, thread)
    assert (caught.value.code(), reason_of(caught.value)) == (grpc.StatusCode.NOT_FOUND, "THREAD_NOT_FOUND")


async def test_a_deleted_thread_is_served_to_its_end_to_those_who_watched_it(upstream: Any) -> None:
    tenant = await upstream.make_tenant()
    thread = await upstream.make_thread(tenant)
    await upstream.delete_thread(tenant, thread)
    page = await read_thread(upstream, tenant, thread, after_seq=5, serve_deleted=True)
    assert [event.WhichOneof("payload") for event in thread_events(page)] == ["run_ended", "thread_deleted"]
    assert (page.last_seq, page.is_deleted) == (7, True)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await read_thread(upstream, tenant, thread, after_seq=5)
    assert reason_of(caught.value) == "THREAD_NOT_FOUND"


async def test_a_ring_says_that_a_threads_log_has_grown_and_heads_tell_how_far(upstream: Any) -> None:
    tenant, other = await upstream.make_tenant(), await upstream.make_tenant()
    thread = await upstream.make_thread(tenant)
    rings: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
    live = LiveEvents(upstream.redis_url, lambda thread_id, frame: rings.put_nowait((thread_id, frame)))
    listening = asyncio.create_task(live.run())
    try:
        async with asyncio.timeout(5):
            while not await live.subscribe(thread):
                pass
            await upstream.rename_thread(tenant, thread, "another")
            assert await rings.get() == (thread, b"")
    finally:
        await end_tasks([listening])
    renamed = thread_events(await read_thread(upstream, tenant, thread, after_seq=5))
    assert [event.title_updated.title for event in renamed] == ["another"]
    stub: Any = rpc.RunLogServiceStub(upstream.channel)
    keys = [pb.ThreadKey(tenant_id=format_id("ten", each), thread_id=thread) for each in (tenant, other)]
    metadata = token_metadata(upstream.signer.service_token("gateway"))
    heads_of_threads = (await stub.GetHeads(pb.GetHeadsRequest(threads=keys), metadata=metadata)).thread_heads
    assert [(head.thread_id, head.last_seq) for head in heads_of_threads] == [(thread, 6)]


async def test_what_is_committed_is_published_as_it_stands_in_the_log(upstream: Any) -> None:
    tenant = await upstream.make_tenant()
    run = await upstream.make_run(tenant)
    head = (await read(upstream, tenant, run)).last_seq
    frames: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
    live = LiveEvents(upstream.redis_url, lambda run_id, frame: frames.put_nowait((run_id, frame)))
    listening = asyncio.create_task(live.run())
    try:
        async with asyncio.timeout(5):
            while not await live.subscribe(run):
                pass
            await upstream.end_run(tenant, run)
            run_id, frame = await frames.get()
    finally:
        await end_tasks([listening])
    batch = pb.LiveBatch.FromString(frame)
    page = await read(upstream, tenant, run, head)
    assert (run_id, batch.run_id, batch.first_seq, batch.is_terminal) == (run, run, head + 1, True)
    assert list(batch.events) == list(page.events)


async def test_a_key_is_resolved_to_its_tenant_and_an_unknown_one_to_nobody(upstream: Any) -> None:
    tenant = await upstream.make_tenant()
    secret = await upstream.make_key(tenant)
    found = await resolve(upstream, secret)
    assert (found.tenant_id, list(found.scopes)) == (format_id("ten", tenant), ["runs.read"])
    assert found.principal
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await resolve(upstream, "weft_nobody")
    assert (caught.value.code(), reason_of(caught.value)) == (grpc.StatusCode.UNAUTHENTICATED, "API_KEY_INVALID")


async def resolve(upstream: Any, secret: str) -> credential_pb.ResolveApiKeyResponse:
    stub: Any = credential_rpc.CredentialServiceStub(upstream.channel)
    request = credential_pb.ResolveApiKeyRequest(key_sha256=hashlib.sha256(secret.encode()).digest())
    found: credential_pb.ResolveApiKeyResponse = await stub.ResolveApiKey(
        request, metadata=token_metadata(upstream.signer.service_token("gateway"))
    )
    return found
