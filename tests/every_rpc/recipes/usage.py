"""Recipes of usage."""

from google.protobuf.message import Message
from weft.usage.v1 import usage_service_pb2 as usage

from every_rpc.recipe import plain
from every_rpc.world import Estate


@plain(usage.QueryUsageRequest)
def _(estate: Estate) -> Message:
    groups = [usage.USAGE_DIMENSION_AGENT, usage.USAGE_DIMENSION_MODEL]
    return usage.QueryUsageRequest(agent_id=estate.agent_id, project_id=estate.project_id, group_by=groups)


@plain(usage.QueryToolUsageRequest)
def _(estate: Estate) -> Message:
    return usage.QueryToolUsageRequest(agent_id=estate.agent_id, group_by=[usage.USAGE_DIMENSION_DAY])
