"""Usage between the contract and values."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from google.protobuf.message import Message
from weft.usage.v1 import usage_service_pb2 as pb
from weft_core.errors import FieldViolation, InvalidFieldsError
from weft_core.ids import format_id, parse_id

from weft_threads.times import datetime_of
from weft_threads.usage.report import UsageQuery

_SUMS: Final = (
    "runs",
    "model_calls",
    "unmetered_model_calls",
    "unpriced_model_calls",
    "input_tokens",
    "output_tokens",
    "cached_input_tokens",
    "cost_micros",
)


def usage_query_from(request: pb.QueryUsageRequest) -> UsageQuery:
    return UsageQuery(
        start=_time(request, "start_time"),
        end=_time(request, "end_time"),
        groups=_groups(request.group_by),
        agent_id=parse_id("agt", request.agent_id, "agent_id") if request.agent_id else None,
        project_id=parse_id("prj", request.project_id, "project_id") if request.project_id else None,
        name=request.model,
    )


def tool_usage_query_from(request: pb.QueryToolUsageRequest) -> UsageQuery:
    return UsageQuery(
        start=_time(request, "start_time"),
        end=_time(request, "end_time"),
        groups=(*_groups(request.group_by), "tool", "outcome"),
        agent_id=parse_id("agt", request.agent_id, "agent_id") if request.agent_id else None,
        name=request.tool,
    )


def usage_row(query: UsageQuery, row: Any) -> pb.UsageRow:
    group = dict(zip(query.groups, row.group_keys, strict=True))
    return pb.UsageRow(
        agent_id=_id("agt", group),
        model=group.get("model", ""),
        project_id=_id("prj", group),
        day=group.get("day", ""),
        **{name: row._mapping[name] for name in _SUMS},
    )


def tool_usage_row(query: UsageQuery, row: Any) -> pb.ToolUsageRow:
    group = dict(zip(query.groups, row.group_keys, strict=True))
    return pb.ToolUsageRow(
        agent_id=_id("agt", group),
        day=group.get("day", ""),
        tool=group["tool"],
        outcome=pb.ToolOutcome.Value(f"TOOL_OUTCOME_{group['outcome'].upper()}"),
        tool_calls=row.tool_calls,
    )


def _id(prefix: str, group: dict[str, str]) -> str:
    name = {"agt": "agent", "prj": "project"}[prefix]
    return format_id(prefix, UUID(group[name])) if name in group else ""


def _groups(dimensions: Sequence[pb.UsageDimension.ValueType]) -> tuple[str, ...]:
    return tuple(pb.UsageDimension.Name(each).removeprefix("USAGE_DIMENSION_").lower() for each in dimensions)


def _time(request: Message, name: str) -> datetime | None:
    """Raises: InvalidFieldsError: it is no time, which the rules of the contract do not see."""
    try:
        return datetime_of(getattr(request, name)) if request.HasField(name) else None
    except (ValueError, OverflowError) as error:
        raise InvalidFieldsError([FieldViolation(name, str(error), "timestamp")]) from None
