"""weft.runner.v1.AgentRunnerService: looking into a runner."""

from weft.runner.v1 import agent_runner_service_pb2 as pb
from weft.runner.v1 import agent_runner_service_pb2_grpc as pb_grpc
from weft_core.clock import Clock, SystemClock
from weft_grpckit.context import Context

from weft_agent_runner.clients.written import duration
from weft_agent_runner.drain import Drainer
from weft_agent_runner.roster import Roster
from weft_agent_runner.tenure import Tenure


class AgentRunnerServicer(pb_grpc.AgentRunnerServiceServicer):
    def __init__(self, roster: Roster, tenure: Tenure, drainer: Drainer, clock: Clock | None = None) -> None:
        self._roster, self._tenure, self._drainer = roster, tenure, drainer
        self._clock = clock or SystemClock()

    async def ListActiveRuns(self, request: pb.ListActiveRunsRequest, context: Context) -> pb.ListActiveRunsResponse:
        now = self._clock.monotonic()
        return pb.ListActiveRunsResponse(
            runs=[
                pb.ActiveRun(
                    run_id=execution.key.run_id,
                    epoch=execution.key.epoch,
                    activity=execution.activity,
                    age=duration(now - execution.started_at),
                )
                for execution in self._roster.executions()
            ]
        )

    async def GetRunner(self, request: pb.GetRunnerRequest, context: Context) -> pb.GetRunnerResponse:
        return pb.GetRunnerResponse(
            runner_id=self._tenure.runner_id,
            trusted_for=duration(max(self._tenure.trusted_for, -1.0)),
            active_runs=len(self._roster.keys()),
            max_runs=self._roster.max_runs,
            is_draining=self._drainer.is_draining,
        )

    async def Drain(self, request: pb.DrainRequest, context: Context) -> pb.DrainResponse:
        return pb.DrainResponse(released=await self._drainer.drain())
