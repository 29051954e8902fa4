"""The tool journal in memory and on PostgreSQL, behind the same few questions."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID, uuid4

import asyncpg
from google.protobuf.duration_pb2 import Duration
from threads_world import Client, ThreadsWorld, an_agent
from weft.runs.v1 import admission_service_pb2, run_pb2
from weft.runs.v1 import run_queue_service_pb2 as queue_pb
from weft_core.ids import parse_id
from weft_grpckit.tokens import TokenSigner
from weft_testkit.fake_threads import FakeThreads

TENANT, OTHER_TENANT = UUID(int=7), UUID(int=8)
SCOPES = ["tools.execute"]


@dataclass(frozen=True)
class Held:
    """A run in the hands of a runner."""

    run_id: str
    agent_id: str
    project_id: str
    thread_id: str
    epoch: int
    client: Client


class JournalWorld(Protocol):
    caller: Client
    stranger: Client
    """A caller of another tenant."""

    async def agent(self, *tools: str) -> str: ...

    async def run(self, *tools: str) -> Held: ...

    async def take_over(self, run: Held) -> Held:
        """Give the run to another runner."""
        ...

    async def end(self, run: Held) -> None: ...

    async def denials(self) -> list[tuple[str, str, str]]:
        """Return key, tool and reason of each denial of this tenant, oldest first."""
        ...


class WorldInMemory:
    def __init__(self, threads: FakeThreads, world: ThreadsWorld) -> None:
        self._threads, self._world = threads, world
        self.caller, self.stranger = (
            world.client(world.signer.caller_token(tenant, "ada", SCOPES)) for tenant in (TENANT, OTHER_TENANT)
        )

    async def agent(self, *tools: str) -> str:
        return self._threads.world.add_agent(TENANT, list(tools))

    async def run(self, *tools: str) -> Held:
        run = self._threads.world.add_run(TENANT, await self.agent(*tools))
        return self._held(run.run_id)

    async def take_over(self, run: Held) -> Held:
        self._threads.world.tenant(TENANT).runs[run.run_id].epoch += 1
        return self._held(run.run_id)

    async def end(self, run: Held) -> None:
        self._threads.world.tenant(TENANT).runs[run.run_id].is_running = False

    async def denials(self) -> list[tuple[str, str, str]]:
        return [(each.key, each.tool, each.reason) for each in self._threads.journal.denials]

    def _held(self, run_id: str) -> Held:
        run = self._threads.world.tenant(TENANT).runs[run_id]
        token = self._world.signer.run_token(
            TENANT,
            "ada",
            SCOPES,
            run_id=parse_id("run", run_id),
            epoch=run.epoch,
            agent_id=parse_id("agt", run.agent_id),
            lifetime_seconds=600,
        )
        return Held(run_id, run.agent_id, run.project_id, run.thread_id, run.epoch, self._world.client(token))


class WorldOnPostgres:
    def __init__(self, world: ThreadsWorld, admin_url: str, tenant_id: str, caller: Client, stranger: Client) -> None:
        self._world, self._admin_url, self._tenant_id = world, admin_url, tenant_id
        self.caller, self.stranger = caller, stranger
        self._runner = world.service("agent-runner")
        self._claimed: dict[str, tuple[str, Any]] = {}

    async def agent(self, *tools: str) -> str:
        return (await an_agent(self.caller, *tools)).agent_id

    async def run(self, *tools: str) -> Held:
        request = admission_service_pb2.InitiateRunRequest(text="hello", agent_id=await self.agent(*tools))
        return await self._claim((await self.caller.admission.InitiateRun(request)).run_id)

    async def take_over(self, run: Held) -> Held:
        runner_id, claimed = self._claimed[run.run_id]
        owned = queue_pb.OwnedRun(tenant_id=self._tenant_id, run_id=run.run_id, epoch=claimed.epoch)
        released = await self._runner.queue.Release(queue_pb.ReleaseRequest(runner_id=runner_id, runs=[owned]))
        assert released.released == 1
        return await self._claim(run.run_id)

    async def end(self, run: Held) -> None:
        runner_id, claimed = self._claimed[run.run_id]
        failure = run_pb2.Failure(reason=run_pb2.FAILURE_REASON_INTERNAL, message="over")
        entry = queue_pb.CommitEntry(
            tenant_id=self._tenant_id,
            run_id=run.run_id,
            epoch=claimed.epoch,
            expected_seq=claimed.last_seq,
            transition=queue_pb.Transition(fail=failure),
        )
        answer = await self._runner.queue.Commit(queue_pb.CommitRequest(runner_id=runner_id, entries=[entry]))
        assert answer.results[0].state == run_pb2.RUN_STATE_FAILED

    async def denials(self) -> list[tuple[str, str, str]]:
        admin = await asyncpg.connect(self._admin_url)
        try:
            rows = await admin.fetch(
                "SELECT execution_key, tool, reason FROM tool_executions "
                "WHERE tenant_id = $1 AND state = 'denied' ORDER BY tool_execution_id",
                parse_id("ten", self._tenant_id),
            )
        finally:
            await admin.close()
        return [(row["execution_key"], row["tool"], row["reason"].upper()) for row in rows]

    async def _claim(self, run_id: str) -> Held:
        request = queue_pb.RegisterRunnerRequest(host=f"test {uuid4()}")
        runner_id = (await self._runner.queue.RegisterRunner(request)).runner_id
        answer = await self._runner.queue.ClaimRuns(queue_pb.ClaimRunsRequest(runner_id=runner_id, max_runs=100))
        claimed = next(run for run in answer.runs if run.run_id == run_id)
        self._claimed[run_id] = runner_id, claimed
        client = self._world.client(claimed.run_token)
        return Held(run_id, claimed.agent_id, claimed.project_id, claimed.thread_id, claimed.epoch, client)


@asynccontextmanager
async def world_in_memory(threads: FakeThreads, key: bytes) -> AsyncIterator[WorldInMemory]:
    world = ThreadsWorld(threads.address, TokenSigner(key))
    try:
        yield WorldInMemory(threads, world)
    finally:
        await world.close()


@asynccontextmanager
async def world_on_postgres(address: str, admin_url: str, key: bytes) -> AsyncIterator[WorldOnPostgres]:
    world = ThreadsWorld(address, TokenSigner(key))
    try:
        tenant, caller = await world.tenant()
        _, stranger = await world.tenant()
        yield WorldOnPostgres(world, admin_url, tenant.tenant_id, caller, stranger)
    finally:
        await world.close()


def seconds(value: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(int(value * 1e9))
    return duration
