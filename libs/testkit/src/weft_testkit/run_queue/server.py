"""The server: calls, leases, and faults that a test chooses."""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Self

import grpc
from weft.agents.v1 import agent_pb2, agent_service_pb2, agent_service_pb2_grpc
from weft.runs.v1 import event_pb2, run_pb2, run_queue_service_pb2_grpc
from weft.runs.v1 import run_queue_service_pb2 as pb
from weft_core.errors import FailedPreconditionError, UnavailableError, WeftError
from weft_core.ids import format_id
from weft_grpckit.interceptors.validation import validate
from weft_grpckit.status import to_status

from weft_testkit.run_queue.runs import FakeRun, apply_entry, end_run

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass
class Lease:
    expires_at: float
    host: str


class FakeRunQueue(run_queue_service_pb2_grpc.RunQueueServiceServicer, agent_service_pb2_grpc.AgentServiceServicer):
    """`lease_seconds` and `heartbeat_seconds` are as short as a test wants. `spec` is that of every agent, but for
    those in `specs` by version."""

    def __init__(self, lease_seconds: float = 4.0, heartbeat_seconds: float = 1.0) -> None:
        self.lease_seconds, self.heartbeat_seconds = lease_seconds, heartbeat_seconds
        self.runs: dict[str, FakeRun] = {}
        self.runners: dict[str, Lease] = {}
        self.spec = agent_pb2.AgentSpec()
        self.specs: dict[str, agent_pb2.AgentSpec] = {}
        self.model_key = ""  # of every tenant
        self.calls: Counter[str] = Counter()
        self.commits: list[pb.CommitRequest] = []
        self.commit_times: list[float] = []  # wall clock, when each arrived
        self.inline_context_bytes = 1024 * 1024
        self.is_away = False  # no call is answered
        self.away_methods: set[str] = set()  # calls of these are not
        self.lost_answers = 0  # so many Commits are written, and their answers are lost
        self.commit_gate = asyncio.Event()  # cleared: Commits wait
        self.commit_gate.set()
        self.on_ready: Callable[[int], None] = lambda _: None
        self.broken_rules: list[str] = []  # of the contract, by a runner: empty in a test that passes
        self.address = ""
        self._commits_under_way = 0
        self._changed = asyncio.Condition()
        self._server: grpc.aio.Server | None = None

    # What tests do.

    async def __aenter__(self) -> Self:
        self._server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        run_queue_service_pb2_grpc.add_RunQueueServiceServicer_to_server(self, self._server)
        agent_service_pb2_grpc.add_AgentServiceServicer_to_server(self, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        await self._server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.commit_gate.set()
        assert self._server is not None
        await self._server.stop(None)

    def add_run(self, text: str = "hello", **fields: Any) -> FakeRun:
        """Put a run into the queue."""
        run = FakeRun(
            new_id("ten"), new_id("run"), new_id("thr"), fields.pop("agent_version_id", new_id("agv")), text, **fields
        )
        run.write(event_pb2.RunEvent(run_queued=event_pb2.RunQueued(thread_id=run.thread_id)))
        self.runs[run.run_id] = run
        self.on_ready(1)
        return run

    def take_over(self, run: FakeRun, owner: str = "") -> None:
        """Let another runner have the run."""
        run.epoch += 1
        run.owner = owner or new_id("rnr")
        run.attempt += 1
        run.write(event_pb2.RunEvent(run_resumed=event_pb2.RunResumed(attempt=run.attempt)))

    def force_end(self, run: FakeRun) -> None:
        run.epoch += 1
        end_run(run, "stop")

    async def until(self, is_true: Callable[[], bool], seconds: float = 10.0) -> None:
        """Return when something is true; looked at after each call that a runner made."""
        async with asyncio.timeout(seconds):
            async with self._changed:
                await self._changed.wait_for(is_true)

    # What runners call.

    async def GetModelKey(self, request: pb.GetModelKeyRequest, context: Context) -> pb.GetModelKeyResponse:
        await self._enter("GetModelKey", request, context)
        await self._notify()
        return pb.GetModelKeyResponse(api_key=self.model_key)

    async def RegisterRunner(self, request: pb.RegisterRunnerRequest, context: Context) -> pb.RegisterRunnerResponse:
        await self._enter("RegisterRunner", request, context)
        runner_id = new_id("rnr")
        self.runners[runner_id] = Lease(time.monotonic() + self.lease_seconds, request.host)
        response = pb.RegisterRunnerResponse(runner_id=runner_id)
        response.lease.FromMilliseconds(int(self.lease_seconds * 1000))
        response.heartbeat_interval.FromMilliseconds(int(self.heartbeat_seconds * 1000))
        await self._notify()
        return response

    async def Heartbeat(self, request: pb.HeartbeatRequest, context: Context) -> pb.HeartbeatResponse:
        await self._enter("Heartbeat", request, context)
        lease = await self._lease(request.runner_id, context)
        lease.expires_at = time.monotonic() + self.lease_seconds
        response = pb.HeartbeatResponse(
            owned_runs=[
                pb.OwnedRun(
                    tenant_id=run.tenant_id, run_id=run.run_id, epoch=run.epoch, stop_requested=run.stop_requested
                )
                for run in self.runs.values()
                if run.owner == request.runner_id and run.state == run_pb2.RUN_STATE_RUNNING
            ]
        )
        response.lease.FromMilliseconds(int(self.lease_seconds * 1000))
        await self._notify()
        return response

    async def ClaimRuns(self, request: pb.ClaimRunsRequest, context: Context) -> pb.ClaimRunsResponse:
        await self._enter("ClaimRuns", request, context)
        await self._lease_that_lives(request.runner_id, context)
        until = time.monotonic() + request.wait.ToTimedelta().total_seconds()
        while not self._claimable() and time.monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # `add_run` wakes nobody
        await self._lease_that_lives(request.runner_id, context)
        claimed = [self._claim(run, request.runner_id) for run in self._claimable()[: request.max_runs]]
        await self._notify()
        return pb.ClaimRunsResponse(runs=claimed)

    async def Commit(self, request: pb.CommitRequest, context: Context) -> pb.CommitResponse:
        await self._enter("Commit", request, context)
        self._expect(self._commits_under_way == 0, "two Commits of a runner at once")
        self._commits_under_way += 1
        try:
            await self.commit_gate.wait()
            self.commits.append(request)
            self.commit_times.append(time.time())
            one_each = len({entry.run_id for entry in request.entries}) == len(request.entries)
            self._expect(one_each, "two entries of one run in a Commit")
            response = pb.CommitResponse(results=[self._commit(entry) for entry in request.entries])
        finally:
            self._commits_under_way -= 1
        await self._notify()
        if self.lost_answers > 0:
            self.lost_answers -= 1
            await refuse(context, away())
        return response

    async def Release(self, request: pb.ReleaseRequest, context: Context) -> pb.ReleaseResponse:
        await self._enter("Release", request, context)
        released = 0
        for owned in request.runs:
            run = self.runs.get(owned.run_id)
            if run is not None and (run.owner, run.epoch) == (request.runner_id, owned.epoch) and not run.is_ended:
                run.owner, released = "", released + 1
                run.attempt -= 1
        await self._notify()
        return pb.ReleaseResponse(released=released)

    async def ReadContext(
        self, request: pb.ReadContextRequest, context: Context
    ) -> AsyncIterator[pb.ReadContextResponse]:
        await self._enter("ReadContext", request, context)
        run = self.runs[request.run_id]
        if run.epoch != request.epoch:
            await refuse(context, FailedPreconditionError("EPOCH_STALE", "the run was taken over"))
        for message in run.context():
            yield pb.ReadContextResponse(context=[message])

    async def OfferTitle(self, request: pb.OfferTitleRequest, context: Context) -> pb.OfferTitleResponse:
        await self._enter("OfferTitle", request, context)
        run = self.runs[request.run_id]
        is_taken = run.state == run_pb2.RUN_STATE_SUCCEEDED and not run.titles
        run.titles.append(request)
        await self._notify()
        return pb.OfferTitleResponse(is_taken=is_taken)

    async def GetAgentVersion(
        self, request: agent_service_pb2.GetAgentVersionRequest, context: Context
    ) -> agent_service_pb2.GetAgentVersionResponse:
        await self._enter("GetAgentVersion", request, context)
        spec = self.specs.get(request.agent_version_id, self.spec)
        version = agent_pb2.AgentVersion(agent_version_id=request.agent_version_id, spec=spec)
        return agent_service_pb2.GetAgentVersionResponse(agent_version=version)

    # The rules.

    def _claimable(self) -> list[FakeRun]:
        def is_free(run: FakeRun) -> bool:
            if run.state == run_pb2.RUN_STATE_QUEUED:
                return True
            owner = self.runners.get(run.owner)
            is_owned = run.owner and (owner is None or owner.expires_at > time.monotonic())
            return run.state == run_pb2.RUN_STATE_RUNNING and not is_owned

        return [run for run in self.runs.values() if is_free(run)]

    def _claim(self, run: FakeRun, runner_id: str) -> pb.ClaimedRun:
        is_first = run.epoch == 0
        run.state, run.owner = run_pb2.RUN_STATE_RUNNING, runner_id
        run.epoch, run.attempt = run.epoch + 1, run.attempt + 1
        if is_first:
            run.write(event_pb2.RunEvent(run_started=event_pb2.RunStarted(attempt=run.attempt)))
        else:
            run.write(event_pb2.RunEvent(run_resumed=event_pb2.RunResumed(attempt=run.attempt)))
        begun = self._begun_by_claim(run)
        claimed = pb.ClaimedRun(
            tenant_id=run.tenant_id,
            run_id=run.run_id,
            thread_id=run.thread_id,
            agent_version_id=run.agent_version_id,
            epoch=run.epoch,
            last_seq=run.last_seq,
            attempt=run.attempt,
            run_token=f"token of {run.run_id}",
            wants_title=run.wants_title,
            finished_steps=sum(step.state == "succeeded" for step in run.steps),
            begun_step=begun,
            pending_tool_calls=run.pending_calls() if begun is None else [],
            usage=run.usage,
            stop_requested=run.stop_requested,
            trace_parent=run.trace_parent,
        )
        context = run.context()
        claimed.is_context_separate = sum(message.ByteSize() for message in context) > self.inline_context_bytes
        if not claimed.is_context_separate:
            claimed.context.extend(context)
        claimed.remaining.FromMilliseconds(int(run.remaining_seconds * 1000))
        return claimed

    def _begun_by_claim(self, run: FakeRun) -> pb.BegunStep | None:
        last = run.steps[-1] if run.steps else None
        if last is not None and last.state == "succeeded":
            return None
        if last is not None and last.state == "started":
            last.state = "cut"
            run.write(event_pb2.RunEvent(message_discarded=event_pb2.MessageDiscarded(message_id=last.message_id)))
        step, attempt = (last.step, last.attempt + 1) if last is not None else (1, 1)
        run.begin_step(step, attempt, new_id("msg"))
        return pb.BegunStep(step=step, attempt=attempt, message_id=run.steps[-1].message_id)

    def _commit(self, entry: pb.CommitEntry) -> pb.CommitResult:
        run = self.runs.get(entry.run_id)
        if run is None:
            return pb.CommitResult(data_error="no such run")
        if run.poison and run.poison in str(entry):
            return pb.CommitResult(data_error=f"{run.poison} cannot be written")
        fits = (run.epoch, run.last_seq) == (entry.epoch, entry.expected_seq)
        if fits and run.state == run_pb2.RUN_STATE_RUNNING:
            try:
                apply_entry(run, entry, new_id("msg"), [new_id("msg") for _ in entry.messages])
            except AssertionError as error:
                self._expect(False, str(error))
        result = pb.CommitResult(
            state=run.state, epoch=run.epoch, last_seq=run.last_seq, stop_requested=run.stop_requested
        )
        begin = entry.begin_step
        for step in run.steps:
            if entry.HasField("begin_step") and (step.step, step.attempt) == (begin.step, begin.attempt):
                result.begun_step.CopyFrom(
                    pb.BegunStep(step=step.step, attempt=step.attempt, message_id=step.message_id)
                )
        return result

    def _expect(self, is_kept: bool, rule: str) -> None:
        if not is_kept:
            self.broken_rules.append(rule)

    async def _lease(self, runner_id: str, context: Context) -> Lease:
        lease = self.runners.get(runner_id)
        if lease is None:
            await refuse(context, FailedPreconditionError("RUNNER_UNKNOWN", "register again"))
            raise AssertionError
        return lease

    async def _lease_that_lives(self, runner_id: str, context: Context) -> None:
        if (await self._lease(runner_id, context)).expires_at <= time.monotonic():
            await refuse(context, FailedPreconditionError("LEASE_EXPIRED", "send a heartbeat first"))

    async def _enter(self, method: str, request: Any, context: Context) -> None:
        self.calls[method] += 1
        if self.is_away or method in self.away_methods:
            await refuse(context, away())
        try:
            validate(request)
        except WeftError as error:
            await refuse(context, error)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def away() -> UnavailableError:
    return UnavailableError("DATABASE_UNAVAILABLE", "the database cannot be reached", retry_after_seconds=0.1)


async def refuse(context: Context, error: WeftError) -> None:
    await context.abort_with_status(to_status(error))


def new_id(prefix: str) -> str:
    return format_id(prefix, uuid.uuid4())
