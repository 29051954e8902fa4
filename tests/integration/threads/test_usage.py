"""Usage counted from the journals of model calls and of tool calls."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from runs_world import superuser_url
from threads_world import Client, ThreadsWorld, all_refused, an_agent, refused, unknown_id, uuid_from
from weft.projects.v1 import project_service_pb2
from weft.runs.v1 import admission_service_pb2, run_pb2, run_service_pb2
from weft.runs.v1 import run_queue_service_pb2 as queue_pb
from weft.threads.v1 import thread_service_pb2
from weft.usage.v1 import usage_service_pb2 as pb
from weft_cli.stack import Stack

AGENT, MODEL = pb.USAGE_DIMENSION_AGENT, pb.USAGE_DIMENSION_MODEL
PROJECT, DAY = pb.USAGE_DIMENSION_PROJECT, pb.USAGE_DIMENSION_DAY


def stamp(time: datetime) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(time)
    return made


@dataclass
class Biller:
    """A runner that makes model calls of a given cost."""

    client: Client
    queue: Any
    runner_id: str = ""
    seqs: dict[str, int] = field(default_factory=dict)

    async def claimed(self, **fields: Any) -> queue_pb.ClaimedRun:
        made = await self.client.admission.InitiateRun(admission_service_pb2.InitiateRunRequest(text="x", **fields))
        if not self.runner_id:
            self.runner_id = (await self.queue.RegisterRunner(queue_pb.RegisterRunnerRequest(host="test"))).runner_id
        taken = await self.queue.ClaimRuns(queue_pb.ClaimRunsRequest(runner_id=self.runner_id, max_runs=100))
        (run,) = (run for run in taken.runs if run.run_id == made.run_id)
        assert isinstance(run, queue_pb.ClaimedRun)
        self.seqs[run.run_id] = run.last_seq
        return run

    async def finish(self, run: queue_pb.ClaimedRun, attempt: int = 1, *, again: bool = False, **step: Any) -> None:
        """End an attempt at the first model call; `again` begins another."""
        entry = queue_pb.CommitEntry(
            tenant_id=run.tenant_id,
            run_id=run.run_id,
            epoch=run.epoch,
            expected_seq=self.seqs[run.run_id],
            finish_step=queue_pb.FinishStep(step=1, attempt=attempt, **step),
        )
        if again:
            entry.begin_step.step, entry.begin_step.attempt = 1, attempt + 1
        answer = await self.queue.Commit(queue_pb.CommitRequest(runner_id=self.runner_id, entries=[entry]))
        assert answer.results[0].data_error == ""
        self.seqs[run.run_id] = answer.results[0].last_seq

    async def call(self, model: str, tokens: int, cost: int | None = None, **fields: Any) -> queue_pb.ClaimedRun:
        """Make a run with one model call of so many tokens in and out."""
        run = await self.claimed(**fields)
        usage = run_pb2.Usage(input_tokens=tokens, output_tokens=2 * tokens, cached_input_tokens=1)
        await self.finish(run, is_succeeded=True, usage=usage, model=model, cost_micros=cost)
        return run


@pytest.fixture
async def biller(world: ThreadsWorld) -> Biller:
    _, client = await world.tenant()
    return Biller(client, world.service("agent-runner").queue)


@pytest.fixture
async def admin(stack: Stack) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(superuser_url(stack))
    yield connection
    await connection.close()


async def asked(client: Client, *groups: Any, **fields: Any) -> list[pb.UsageRow]:
    request, rows = pb.QueryUsageRequest(group_by=groups, **fields), list[pb.UsageRow]()
    while True:
        page = await client.usage.QueryUsage(request)
        rows += page.rows
        if not page.next_page_token:
            return rows
        request.page_token = page.next_page_token


@pytest.mark.row("E2")
async def test_every_attempt_is_counted_once_with_what_it_used(biller: Biller) -> None:
    run = await biller.claimed()
    usage = run_pb2.Usage(input_tokens=10, output_tokens=20, cached_input_tokens=5)
    await biller.finish(run, 1, again=True, model="dear", error="429")
    await biller.finish(run, 2, again=True, model="dear", usage=usage, cost_micros=70)
    await biller.finish(run, 3, again=True, is_succeeded=False, model="own", usage=usage)
    assert [row.model_calls for row in await asked(biller.client)] == [3], "the open attempt is not there yet"
    await biller.client.runs.CancelRun(run_service_pb2.CancelRunRequest(run_id=run.run_id))

    counted: Any = {"model_calls": 4, "unmetered_model_calls": 2, "unpriced_model_calls": 1, "cost_micros": 70}
    counted |= {"input_tokens": 20, "output_tokens": 40, "cached_input_tokens": 10}
    thread = thread_service_pb2.DeleteThreadRequest(thread_id=run.thread_id)
    got = (await biller.client.runs.GetRun(run_service_pb2.GetRunRequest(run_id=run.run_id))).run
    assert got.usage.cost_micros == 70
    await biller.client.threads.DeleteThread(thread)
    assert await asked(biller.client) == [pb.UsageRow(runs=1, **counted)], "also once the thread is gone"
    by_model = await asked(biller.client, MODEL)
    assert [(row.model, row.model_calls, row.cost_micros) for row in by_model] == [
        ("", 1, 0),
        ("dear", 2, 70),
        ("own", 1, 0),
    ]


@pytest.mark.row("E2")
async def test_usage_is_grouped_and_filtered_by_agent_project_and_model(biller: Biller) -> None:
    client = biller.client
    agents = sorted([(await an_agent(client)).agent_id for _ in range(2)])
    request = project_service_pb2.CreateProjectRequest(display_name="p")
    project_id = (await client.projects.CreateProject(request)).project.project_id
    await biller.call("a", 1, 10, agent_id=agents[0])
    await biller.call("b", 2, 20, agent_id=agents[0], project_id=project_id)
    await biller.call("b", 4, 40, agent_id=agents[1])
    await biller.call("b", 8, 80, agent_id=agents[1])

    rows = await asked(client, AGENT, MODEL)
    assert [(r.agent_id, r.model, r.runs, r.input_tokens, r.output_tokens, r.cost_micros) for r in rows] == [
        (agents[0], "a", 1, 1, 2, 10),
        (agents[0], "b", 1, 2, 4, 20),
        (agents[1], "b", 2, 12, 24, 120),
    ]
    assert await asked(client, AGENT, MODEL, page_size=1) == rows
    assert [row.cost_micros for row in await asked(client, agent_id=agents[1])] == [120]
    assert [row.cost_micros for row in await asked(client, model="b", agent_id=agents[0])] == [20]
    assert [row.cost_micros for row in await asked(client, project_id=project_id)] == [20]
    assert {row.project_id: row.cost_micros for row in await asked(client, PROJECT)}[project_id] == 20
    assert await asked(client, model="c") == [pb.UsageRow()]
    assert await asked(client, AGENT, agent_id=unknown_id("agt")) == []


async def test_usage_of_a_range_counts_by_the_days_of_utc(
    biller: Biller, admin: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    times = [datetime(2026, 1, day, hour, minute, tzinfo=UTC) for day, hour, minute in ((30, 23, 59), (31, 0, 0))]
    for time in [*times, times[1] + timedelta(days=1)]:
        run = await biller.call("m", 1, 1)
        await admin.execute("UPDATE run_steps SET start_time = $1 WHERE run_id = $2", time, uuid_from(run.run_id))
    start, end = stamp(times[0]), stamp(times[1] + timedelta(days=1))

    page = await biller.client.usage.QueryUsage(pb.QueryUsageRequest(start_time=start, end_time=end, group_by=[DAY]))
    assert [(row.day, row.model_calls) for row in page.rows] == [("2026-01-30", 1), ("2026-01-31", 1)]
    assert (page.start_time, page.end_time) == (start, end)
    assert [row.model_calls for row in await asked(biller.client, start_time=end, end_time=end)] == [0]
    now = await biller.client.usage.QueryUsage(pb.QueryUsageRequest())
    assert now.end_time.ToDatetime() - now.start_time.ToDatetime() == timedelta(days=30)


async def test_pages_of_usage_keep_their_range(biller: Biller) -> None:
    await biller.call("a", 1)
    await biller.call("b", 1)
    first = await biller.client.usage.QueryUsage(pb.QueryUsageRequest(group_by=[MODEL], page_size=1))
    await biller.call("b", 1)
    request = pb.QueryUsageRequest(group_by=[MODEL], page_size=1, page_token=first.next_page_token)
    second = await biller.client.usage.QueryUsage(request)
    assert [(row.model, row.model_calls) for row in (*first.rows, *second.rows)] == [("a", 1), ("b", 1)]
    assert (second.start_time, second.end_time) == (first.start_time, first.end_time)
    assert second.next_page_token == ""


@pytest.mark.parametrize("model", ["x" * 500, "😀" * 500, "'; --", '"\\', "ß"])
async def test_any_name_of_a_model_can_be_paged_over(biller: Biller, model: str) -> None:
    await biller.call(model, 1)
    await biller.call(model[:-1] + "\U0010ffff", 1)
    rows = await asked(biller.client, MODEL, page_size=1)
    assert [row.model for row in rows] == sorted([model, model[:-1] + "\U0010ffff"], key=str.encode)
    assert [row.model_calls for row in await asked(biller.client, model=model)] == [1]


async def test_usage_refuses_ranges_and_tokens_that_are_wrong(biller: Biller) -> None:
    usage, now = biller.client.usage, datetime.now(UTC)
    backwards: Any = {"start_time": stamp(now), "end_time": stamp(now - timedelta(seconds=1))}
    long: Any = {"start_time": stamp(now - timedelta(days=401)), "end_time": stamp(now)}
    odd: Any = {"start_time": Timestamp(seconds=1, nanos=-1)}
    for fields, wrong in ((backwards, {"end_time"}), (long, {"start_time"}), (odd, {"start_time"})):
        with refused("INVALID_FIELDS") as refusal:
            await usage.QueryUsage(pb.QueryUsageRequest(**fields))
        assert refusal.fields == wrong
    await biller.call("a", 1)
    await biller.call("b", 1)
    token = (await usage.QueryUsage(pb.QueryUsageRequest(group_by=[MODEL], page_size=1))).next_page_token
    await all_refused(
        "PAGE_TOKEN_INVALID",
        (usage.QueryUsage, pb.QueryUsageRequest(group_by=[MODEL, DAY], page_token=token)),
        (usage.QueryUsage, pb.QueryUsageRequest(group_by=[MODEL], model="a", page_token=token)),
        (usage.QueryToolUsage, pb.QueryToolUsageRequest(page_token=token)),
    )


async def test_usage_is_of_ones_own_tenant_and_takes_its_scope(world: ThreadsWorld, biller: Biller) -> None:
    await biller.call("a", 1, 5)
    tenant, stranger = await world.tenant()
    assert await asked(stranger) == [pb.UsageRow()]
    assert await asked(stranger, MODEL) == []
    without = world.caller(tenant.tenant_id, ["runs.read"])
    await all_refused("SCOPE_MISSING", (without.usage.QueryUsage, pb.QueryUsageRequest()))


async def test_tool_calls_are_counted_by_tool_and_outcome(
    world: ThreadsWorld, admin: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    tenant, client = await world.tenant()
    agents = sorted([(await an_agent(client)).agent_id for _ in range(2)])
    await admin.executemany(
        "INSERT INTO tool_executions (tenant_id, tool_execution_id, execution_key, agent_id, tool, arguments_sha256, "
        "state, create_time, created_by) VALUES ($1, gen_random_uuid(), $2, $3, $4, '', $5, $6, 'test')",
        [
            (uuid_from(tenant.tenant_id), str(n), uuid_from(agents[n % 2]), tool, state, datetime.now(UTC))
            for n, (tool, state) in enumerate(
                [("a", "succeeded"), ("a", "succeeded"), ("a", "denied"), ("b", "unknown"), ("b", "failed")]
            )
        ],
    )

    async def counted(**fields: Any) -> list[tuple[str, str, int]]:
        rows = (await client.usage.QueryToolUsage(pb.QueryToolUsageRequest(**fields))).rows
        return [
            (row.tool, pb.ToolOutcome.Name(row.outcome).removeprefix("TOOL_OUTCOME_"), row.tool_calls) for row in rows
        ]

    everything = [("a", "DENIED", 1), ("a", "SUCCEEDED", 2), ("b", "FAILED", 1), ("b", "UNKNOWN", 1)]
    assert await counted() == everything
    assert await counted(tool="b") == everything[2:]
    assert await counted(agent_id=agents[1]) == [("a", "SUCCEEDED", 1), ("b", "UNKNOWN", 1)]
    by_agent = await client.usage.QueryToolUsage(pb.QueryToolUsageRequest(group_by=[AGENT, DAY]))
    assert [row.agent_id for row in by_agent.rows] == [agents[0]] * 3 + [agents[1]] * 2
    assert {row.day for row in by_agent.rows} <= {f"{datetime.now(UTC) - timedelta(days=n):%Y-%m-%d}" for n in (0, 1)}
    first = await client.usage.QueryToolUsage(pb.QueryToolUsageRequest(page_size=3))
    rest = await client.usage.QueryToolUsage(pb.QueryToolUsageRequest(page_size=3, page_token=first.next_page_token))
    assert len(first.rows) + len(rest.rows) == 4
