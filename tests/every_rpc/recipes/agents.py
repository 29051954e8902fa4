"""Recipes of agents."""

from google.protobuf.message import Message
from weft.agents.v1 import agent_pb2
from weft.agents.v1 import agent_service_pb2 as agents

from every_rpc.recipe import Asked, plain, recipe
from every_rpc.world import Estate


@plain(agents.CreateAgentRequest)
def _(estate: Estate) -> Message:
    return agents.CreateAgentRequest(display_name="new")


@plain(agents.GetAgentRequest)
def _(estate: Estate) -> Message:
    return agents.GetAgentRequest(agent_id=estate.agent_id)


@plain(agents.ListAgentsRequest)
def _(estate: Estate) -> Message:
    return agents.ListAgentsRequest(page_size=1)


@plain(agents.UpdateAgentRequest)
def _(estate: Estate) -> Message:
    return agents.UpdateAgentRequest(
        agent_id=estate.agent_id, display_name="renamed", spec=agent_pb2.AgentSpec(tools=["create_task"])
    )


@recipe(agents.DeleteAgentRequest)
async def delete_agent(estate: Estate) -> Asked:
    return Asked(agents.DeleteAgentRequest(agent_id=await estate.make_agent()))


@plain(agents.GetAgentVersionRequest)
def _(estate: Estate) -> Message:
    return agents.GetAgentVersionRequest(agent_version_id=estate.agent_version_id)


@plain(agents.ListAgentVersionsRequest)
def _(estate: Estate) -> Message:
    return agents.ListAgentVersionsRequest(agent_id=estate.agent_id, page_size=1)
