"""Threads found by their metadata, what their runs do, and what their log says of changes."""

import json
from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from runs_world import superuser_url
from threads_world import Client, ThreadsWorld, all_refused, an_agent, refused, uuid_from
from weft.runs.v1 import admission_service_pb2, run_pb2, run_service_pb2
from weft.runs.v1 import run_queue_service_pb2 as queue_pb
from weft.threads.v1 import thread_pb2
from weft.threads.v1 import thread_service_pb2 as pb
from weft_cli.stack import Stack

IDLE, QUEUED = thread_pb2.THREAD_AGENT_STATE_IDLE, thread_pb2.THREAD_AGENT_STATE_QUEUED
RUNNING, WAITING = thread_pb2.THREAD_AGENT_STATE_RUNNING, thread_pb2.THREAD_AGENT_STATE_WAITING


async def a_thread(client: Client, **metadata: str) -> str:
    return (await client.threads.CreateThread(pb.CreateThreadRequest(metadata=metadata))).thread.thread_id


async def found(client: Client, metadata: dict[str, str], **wanted: object) -> list[str]:
    request = pb.ListThreadsRequest(metadata=metadata, **wanted)  # type: ignore[arg-type]
    ids: list[str] = []
    while True:
        page = await client.threads.ListThreads(request)
        ids += [thread.thread_id for thread in page.threads]
        if not page.next_page_token:
            return ids
        request.page_token = page.next_page_token


@pytest.mark.row("B2")
async def test_threads_are_found_by_all_pairs_of_their_metadata(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    _, stranger = await world.tenant()
    both = await a_thread(client, user="ann", ticket="7")
    ann = await a_thread(client, user="ann", ticket="8")
    bob = await a_thread(client, user="bob", ticket="7")
    await a_thread(client)
    await a_thread(stranger, user="ann", ticket="7")

    assert await found(client, {"user": "ann"}) == [ann, both]
    assert await found(client, {"ticket": "7"}) == [bob, both]
    assert await found(client, {"user": "ann", "ticket": "7"}) == [both]
    assert await found(client, {"user": "an"}) == await found(client, {"USER": "ann"}) == []
    assert await found(client, {"user": ""}) == []


async def test_search_by_metadata_takes_the_other_filters_and_changes_with_the_threads(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    agent_id = (await an_agent(client)).agent_id
    kept, gone, changed = [await a_thread(client, tag="x") for _ in range(3)]
    with_agent = await client.threads.CreateThread(pb.CreateThreadRequest(agent_id=agent_id, metadata={"tag": "x"}))
    await client.threads.DeleteThread(pb.DeleteThreadRequest(thread_id=gone))
    await client.threads.UpdateThread(pb.UpdateThreadRequest(thread_id=changed, metadata={"tag": "y"}))
    aside = pb.UpdateThreadRequest(thread_id=kept, update_mask=FieldMask(paths=["is_active"]))
    await client.threads.UpdateThread(aside)

    assert await found(client, {"tag": "x"}) == [with_agent.thread.thread_id, kept]
    assert await found(client, {"tag": "x"}, is_active=False) == [kept]
    assert await found(client, {"tag": "x"}, agent_id=agent_id) == [with_agent.thread.thread_id]
    assert await found(client, {"tag": "x"}, project_id=with_agent.thread.project_id, is_active=False) == [kept]
    assert await found(client, {"tag": "y"}) == [changed]


@pytest.mark.parametrize("value", ['"', "\\", "%", "'; DROP TABLE threads; --", "{}", "ä\u2028😀", "x" * 4000])
async def test_any_text_can_be_searched_for(world: ThreadsWorld, value: str) -> None:
    _, client = await world.tenant()
    thread_id = await a_thread(client, **{value[:120]: value})
    await a_thread(client, **{value[:120]: f"{value[:-1]}."})
    assert await found(client, {value[:120]: value}) == [thread_id]


async def test_search_by_metadata_comes_in_pages_bound_to_its_pairs(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    made = [await a_thread(client, tag="x", n=str(n)) for n in range(7)]
    assert await found(client, {"tag": "x"}, page_size=3) == made[::-1]
    first = await client.threads.ListThreads(pb.ListThreadsRequest(metadata={"tag": "x"}, page_size=3))
    token = first.next_page_token
    await all_refused(
        "PAGE_TOKEN_INVALID",
        (client.threads.ListThreads, pb.ListThreadsRequest(metadata={"tag": "y"}, page_token=token)),
        (client.threads.ListThreads, pb.ListThreadsRequest(page_token=token)),
    )
    with refused("INVALID_FIELDS"):
        await client.threads.ListThreads(pb.ListThreadsRequest(metadata={str(n): "" for n in range(17)}))


@pytest.fixture
async def admin(stack: Stack) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(superuser_url(stack))
    yield connection
    await connection.close()


async def blocks_read(admin: "asyncpg.Connection[asyncpg.Record]", tenant_id: UUID, pairs: str) -> int:
    """Return how many blocks a search reads, bound to a tenant as a service is."""
    async with admin.transaction():
        await admin.execute("SELECT set_config('weft.tenant', $1, true)", str(tenant_id))
        explain = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT search_threads($1, NULL, NULL, NULL, NULL, 50)"
        (plan,) = json.loads(await admin.fetchval(explain, pairs))
    return int(plan["Plan"]["Shared Hit Blocks"]) + int(plan["Plan"]["Shared Read Blocks"])


async def test_search_for_rare_and_for_common_pairs_reads_few_blocks(
    world: ThreadsWorld, admin: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    tenant, client = await world.tenant()
    tenant_id = uuid_from(tenant.tenant_id)
    await admin.execute(
        "INSERT INTO threads (tenant_id, thread_id, project_id, agent_id, metadata, created_by) SELECT $1, "
        "lpad(to_hex(n), 32, '0')::uuid, $2, $3, jsonb_build_object('n', n::text, 'all', 'same'), 'test' "
        "FROM generate_series(1, 8000) n",
        tenant_id,
        uuid_from(tenant.default_project_id),
        uuid_from(tenant.default_agent_id),
    )
    await admin.execute("VACUUM ANALYZE threads")  # empties the index's list of pending entries too
    assert len(await found(client, {"n": "17"})) == 1
    assert len(await found(client, {"all": "same"}, page_size=1000)) == 8_000
    for pairs in ('{"n": "17"}', '{"n": "17", "all": "same"}', '{"all": "same"}', '{"n": "none"}'):
        await blocks_read(admin, tenant_id, pairs)  # the first reads the catalogue too
        assert await blocks_read(admin, tenant_id, pairs) < 150, pairs


@pytest.mark.row("B2")
async def test_thread_says_what_its_runs_do(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    queue = world.service("agent-runner").queue
    thread_id = await a_thread(client)

    async def state() -> int:
        listed = (await client.threads.ListThreads(pb.ListThreadsRequest())).threads
        got = (await client.threads.GetThread(pb.GetThreadRequest(thread_id=thread_id))).thread
        renamed = await client.threads.UpdateThread(pb.UpdateThreadRequest(thread_id=thread_id, title="x"))
        states = {listed[0].agent_state, got.agent_state, renamed.thread.agent_state}
        assert len(states) == 1
        return states.pop()

    assert await state() == IDLE
    made = [
        await client.admission.InitiateRun(
            admission_service_pb2.InitiateRunRequest(
                text="x", thread_id=thread_id, busy_strategy=run_pb2.BUSY_STRATEGY_ENQUEUE
            )
        )
        for _ in range(2)
    ]
    assert await state() == QUEUED
    runner_id = (await queue.RegisterRunner(queue_pb.RegisterRunnerRequest(host="test"))).runner_id
    taken = (await queue.ClaimRuns(queue_pb.ClaimRunsRequest(runner_id=runner_id, max_runs=100))).runs
    (run,) = (run for run in taken if run.run_id == made[0].run_id)
    assert await state() == RUNNING

    park = queue_pb.Transition(
        park=queue_pb.Park(reason=run_pb2.WAITING_REASON_PROVIDER_RATE, wake_after=Duration(seconds=3600))
    )
    entry = queue_pb.CommitEntry(
        tenant_id=run.tenant_id, run_id=run.run_id, epoch=run.epoch, expected_seq=run.last_seq, transition=park
    )
    await queue.Commit(queue_pb.CommitRequest(runner_id=runner_id, entries=[entry]))
    assert await state() == WAITING
    for each, left in ((made[0], QUEUED), (made[1], IDLE)):
        await client.runs.CancelRun(run_service_pb2.CancelRunRequest(run_id=each.run_id))
        assert await state() == left


async def test_a_change_of_a_thread_is_in_its_log(
    world: ThreadsWorld, admin: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    _, client = await world.tenant()
    thread_id = await a_thread(client)
    for change in (
        pb.UpdateThreadRequest(thread_id=thread_id, title="t"),
        pb.UpdateThreadRequest(thread_id=thread_id, update_mask=FieldMask(paths=["is_active"])),
        pb.UpdateThreadRequest(thread_id=thread_id, title="u", metadata={"a": "b"}),
    ):
        await client.threads.UpdateThread(change)
    written = await admin.fetch(
        "SELECT type FROM thread_events WHERE thread_id = $1 ORDER BY seq", uuid_from(thread_id)
    )
    assert [row["type"] for row in written] == ["title.updated", "thread.updated", "title.updated", "thread.updated"]
