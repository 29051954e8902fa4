"""`weft usage`."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import typer
from google.protobuf.timestamp_pb2 import Timestamp
from weft.usage.v1 import usage_service_pb2 as pb
from weft.usage.v1.usage_service_pb2 import ToolUsageRow, UsageRow

from weft_cli import words
from weft_cli.commands.command import CommandError, Session, command
from weft_cli.commands.options import Limit, OfAgent, OfProject
from weft_cli.tables import Column


class By(StrEnum):
    """What a row is made for."""

    AGENT = "agent"
    MODEL = "model"
    PROJECT = "project"
    DAY = "day"


GROUPS = {
    By.DAY: Column[UsageRow]("DAY", lambda row: row.day),
    By.AGENT: Column[UsageRow]("AGENT", lambda row: row.agent_id),
    By.MODEL: Column[UsageRow]("MODEL", lambda row: row.model or "(cut off)"),
    By.PROJECT: Column[UsageRow]("PROJECT", lambda row: row.project_id),
}
SUMS = (
    Column[UsageRow]("RUNS", lambda row: words.amount(row.runs), rank=3, is_number=True),
    Column[UsageRow]("CALLS", lambda row: words.amount(row.model_calls), rank=1, is_number=True),
    Column[UsageRow]("UNMETERED", lambda row: words.amount(row.unmetered_model_calls), rank=5, is_number=True),
    Column[UsageRow]("UNPRICED", lambda row: words.amount(row.unpriced_model_calls), rank=4, is_number=True),
    Column[UsageRow]("IN", lambda row: words.amount(row.input_tokens), is_number=True),
    Column[UsageRow]("CACHED", lambda row: words.amount(row.cached_input_tokens), rank=6, is_number=True),
    Column[UsageRow]("OUT", lambda row: words.amount(row.output_tokens), is_number=True),
    Column[UsageRow]("COST", lambda row: words.money(row.cost_micros), is_number=True),
)


def _outcome(row: ToolUsageRow) -> str:
    return words.enum_word(pb.ToolOutcome.Name(row.outcome), "TOOL_OUTCOME_")


TOOL_COLUMNS = (
    Column[ToolUsageRow]("TOOL", lambda row: row.tool),
    Column[ToolUsageRow]("OUTCOME", _outcome, style=lambda row: words.state_style(_outcome(row))),
    Column[ToolUsageRow]("CALLS", lambda row: words.amount(row.tool_calls), is_number=True),
)
TOOL_GROUPS = {
    By.DAY: Column[ToolUsageRow]("DAY", lambda row: row.day),
    By.AGENT: Column[ToolUsageRow]("AGENT", lambda row: row.agent_id),
}

Since = Annotated[str, typer.Option(metavar="TIME", help="From when on: 7d, 24h, 2026-01-31 or an ISO time.")]
Until = Annotated[str, typer.Option(metavar="TIME", help="Until when, itself excluded; else now.")]
Groups = Annotated[list[By], typer.Option("--by", help="A row for each of these; repeat for combinations.")]


def add_to(app: typer.Typer, panel: str) -> None:
    command(
        app,
        "usage",
        panel=panel,
        examples="""
weft usage --since 7d --by model
weft usage --since 2026-01-01 --until 2026-02-01 --by day --by agent --json
weft usage --tools --since 24h""",
    )(usage)


async def usage(
    session: Session,
    since: Since = "30d",
    until: Until = "",
    by: Groups = [],  # noqa: B006 - typer copies it
    agent: OfAgent = "",
    project: OfProject = "",
    model: Annotated[str, typer.Option(help="Only calls of this model, by its exact name.")] = "",
    tools: Annotated[bool, typer.Option("--tools", help="Count tool calls by what came of them instead.")] = False,
    limit: Limit = None,
) -> None:
    """Show what was used: model calls, tokens and cost; days are those of UTC.

    UNMETERED calls have no figures (cut off, failed, or the provider does not tell), UNPRICED ones no price; neither
    has a part in COST.
    """
    start, end, groups = _time(since), _time(until), list(dict.fromkeys(by))
    dimensions = [pb.UsageDimension.Value(f"USAGE_DIMENSION_{each.name}") for each in groups]
    if tools:
        if model or project or set(groups) - set(TOOL_GROUPS):
            raise CommandError("--tools goes with --agent, --by agent and --by day only")
        asked = pb.QueryToolUsageRequest(start_time=start, end_time=end, group_by=dimensions, agent_id=agent)
        await _tool_usage(session, asked, groups, limit)
        return
    request = pb.QueryUsageRequest(
        start_time=start, end_time=end, group_by=dimensions, agent_id=agent, project_id=project, model=model
    )
    rows = await session.api.pages(session.api.usage.QueryUsage, request, "rows", limit)
    session.out.rows("rows", rows, [*(GROUPS[each] for each in groups), *SUMS], "nothing was used", _total(rows))


async def _tool_usage(
    session: Session, request: pb.QueryToolUsageRequest, groups: Sequence[By], limit: int | None
) -> None:
    rows = await session.api.pages(session.api.usage.QueryToolUsage, request, "rows", limit)
    session.out.rows("rows", rows, [*(TOOL_GROUPS[each] for each in groups), *TOOL_COLUMNS], "no tool was called")


def _total(rows: Sequence[UsageRow]) -> str:
    """Return the sum of several rows; runs are in more than one of them, so they are not added up."""
    if len(rows) < 2:
        return ""
    calls, cost = sum(row.model_calls for row in rows), sum(row.cost_micros for row in rows)
    return f"{words.amount(calls)} model calls in all, {words.money(cost)}"


def _time(text: str) -> Timestamp | None:
    if not text:
        return None
    try:
        made = Timestamp()
        made.FromDatetime(words.moment(text))
    except ValueError as error:
        raise CommandError(str(error)) from None
    return made
