"""Every test holds for the fake and for the real threads: so what the gateway's tests show is true of both."""

import asyncio
import hashlib
from typing import Any
from uuid import UUID

import grpc
import pytest
from weft.runs.v1 import event_pb2
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
