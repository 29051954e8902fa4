"""Recipes of usage, of a range of time that is the same each time."""

from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from weft.usage.v1 import usage_service_pb2 as usage

from every_rpc.recipe import plain
from every_rpc.world import Estate

_END = datetime.now(UTC) + timedelta(days=1)
_RANGE: Any = {
    "start_time": Timestamp(seconds=int((_END - timedelta(days=30)).timestamp())),
    "end_time": Timestamp(seconds=int(_END.timestamp())),
}


@plain(usage.QueryUsageRequest)
def _(estate: Estate) -> Message:
    groups = [usage.USAGE_DIMENSION_AGENT, usage.USAGE_DIMENSION_MODEL]
    return usage.QueryUsageRequest(agent_id=estate.agent_id, group_by=groups, page_size=1, **_RANGE)


@plain(usage.QueryUsageRequest, "project")
def _(estate: Estate) -> Message:
    return usage.QueryUsageRequest(project_id=estate.project_id, **_RANGE)


@plain(usage.QueryToolUsageRequest)
def _(estate: Estate) -> Message:
    groups = [usage.USAGE_DIMENSION_DAY]
    return usage.QueryToolUsageRequest(agent_id=estate.agent_id, group_by=groups, page_size=1, **_RANGE)
