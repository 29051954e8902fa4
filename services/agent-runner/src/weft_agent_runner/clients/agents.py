"""Versions of agents, from threads."""

import grpc
from weft.agents.v1 import agent_service_pb2 as pb
from weft.agents.v1 import agent_service_pb2_grpc as pb_grpc
from weft_grpckit.tokens import token_metadata

from weft_agent_runner.clients import convert
from weft_agent_runner.clients.peer_errors import peer_errors
from weft_agent_runner.domain.agent import AgentVersion
from weft_agent_runner.domain.run import ClaimedRun

_CALL_SECONDS = 5.0


class GrpcAgents:
    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = pb_grpc.AgentServiceStub(channel)

    async def get_version(self, run: ClaimedRun) -> AgentVersion:
        request = pb.GetAgentVersionRequest(agent_version_id=run.agent_version_id)
        with peer_errors():
            response = await self._stub.GetAgentVersion(
                request, timeout=_CALL_SECONDS, metadata=token_metadata(run.token)
            )
        return convert.agent_version(response.agent_version.spec)
