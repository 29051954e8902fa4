"""weft.agents.v1.AgentService."""

from weft.agents.v1 import agent_service_pb2 as pb
from weft.agents.v1 import agent_service_pb2_grpc as grpc_pb
from weft_core.ids import parse_id
from weft_grpckit.context import Context, caller_of

from weft_threads.agents import convert, spec
from weft_threads.agents.agents import Agents
from weft_threads.paging import Pager, PageRequest, number_of, uuid_of


class AgentServicer(grpc_pb.AgentServiceServicer):
    def __init__(self, agents: Agents, pager: Pager) -> None:
        self._agents, self._pager = agents, pager

    async def CreateAgent(self, request: pb.CreateAgentRequest, context: Context) -> pb.CreateAgentResponse:
        content = spec.stored(request.spec)
        agent = await self._agents.create(caller_of(context), request.display_name, request.description, content)
        return pb.CreateAgentResponse(agent=convert.agent_to_proto(agent))

    async def GetAgent(self, request: pb.GetAgentRequest, context: Context) -> pb.GetAgentResponse:
        agent = await self._agents.get(caller_of(context), parse_id("agt", request.agent_id, "agent_id"))
        return pb.GetAgentResponse(agent=convert.agent_to_proto(agent))

    async def ListAgents(self, request: pb.ListAgentsRequest, context: Context) -> pb.ListAgentsResponse:
        caller = caller_of(context)
        page = await self._pager.page(
            PageRequest(caller.tenant_id, "ListAgents", {}, request.page_size, request.page_token),
            lambda cursor, limit: self._agents.list(caller, uuid_of(cursor), limit),
            lambda agent: agent.agent_id.bytes,
            lambda agent: len(agent.spec),
        )
        agents = [convert.agent_to_proto(agent) for agent in page.items]
        return pb.ListAgentsResponse(agents=agents, next_page_token=page.next_page_token)

    async def UpdateAgent(self, request: pb.UpdateAgentRequest, context: Context) -> pb.UpdateAgentResponse:
        agent_id = parse_id("agt", request.agent_id, "agent_id")
        columns, fields = convert.changes_from(request)
        change = None if fields is None else spec.changed_by(request.spec, fields)
        agent = await self._agents.update(caller_of(context), agent_id, columns, change)
        return pb.UpdateAgentResponse(agent=convert.agent_to_proto(agent))

    async def DeleteAgent(self, request: pb.DeleteAgentRequest, context: Context) -> pb.DeleteAgentResponse:
        agent_id = parse_id("agt", request.agent_id, "agent_id")
        await self._agents.delete(caller_of(context), agent_id, force=request.force)
        return pb.DeleteAgentResponse()

    async def GetAgentVersion(self, request: pb.GetAgentVersionRequest, context: Context) -> pb.GetAgentVersionResponse:
        version_id = parse_id("agv", request.agent_version_id, "agent_version_id")
        version = await self._agents.get_version(caller_of(context), version_id)
        return pb.GetAgentVersionResponse(agent_version=convert.version_to_proto(version))

    async def ListAgentVersions(
        self, request: pb.ListAgentVersionsRequest, context: Context
    ) -> pb.ListAgentVersionsResponse:
        caller, agent_id = caller_of(context), parse_id("agt", request.agent_id, "agent_id")
        filters = {"agent_id": request.agent_id}
        page = await self._pager.page(
            PageRequest(caller.tenant_id, "ListAgentVersions", filters, request.page_size, request.page_token),
            lambda cursor, limit: self._agents.list_versions(caller, agent_id, number_of(cursor), limit),
            lambda version: version.number.to_bytes(8, "big"),
            lambda version: len(version.spec),
        )
        versions = [convert.version_to_proto(version) for version in page.items]
        return pb.ListAgentVersionsResponse(agent_versions=versions, next_page_token=page.next_page_token)
