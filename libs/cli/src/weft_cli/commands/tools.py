"""`weft tools`."""

import json
import sys
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer
from weft.runs.v1 import event_pb2
from weft.tools.v1 import tool_service_pb2 as pb
from weft.tools.v1.tool_pb2 import Tool

from weft_cli import words
from weft_cli.commands.command import FAILED, CommandError, Session, command
from weft_cli.commands.options import Limit
from weft_cli.tables import Column, one_line

group = typer.Typer(no_args_is_help=True, help="Tools: list, look at, call.")

CALL_SECONDS = 330.0  # a tool has 300, unless it says otherwise


def _repeatable(tool: Tool) -> str:
    return "yes" if tool.is_idempotent else "no"


def _timeout(tool: Tool) -> str:
    return words.span(tool.timeout.ToTimedelta().total_seconds())


COLUMNS = (
    Column[Tool]("TOOL", lambda tool: tool.name),
    Column[Tool]("WHAT IT DOES", lambda tool: one_line(tool.description), width=20),
    Column[Tool]("TIMEOUT", _timeout, rank=1, is_number=True),
    Column[Tool]("REPEATABLE", _repeatable, rank=2),
)
DETAILS = (
    Column[Tool]("TOOL", lambda tool: tool.name),
    Column[Tool]("WHAT IT DOES", lambda tool: tool.description),
    Column[Tool]("TIMEOUT", _timeout),
    Column[Tool]("REPEATABLE", _repeatable),
    Column[Tool]("ARGUMENTS", lambda tool: json.dumps(json.loads(tool.parameters_json), indent=2, ensure_ascii=False)),
)

ToolName = Annotated[str, typer.Argument(metavar="TOOL", help="Its name, as search_documents.")]


@command(group, "list", examples="weft tools list")
async def list_tools(session: Session, limit: Limit = None) -> None:
    """List the tools that agents can have."""
    tools = await session.api.pages(session.api.tools.ListTools, pb.ListToolsRequest(), "tools", limit)
    session.out.rows("tools", tools, COLUMNS, "no tools")


@command(group, "get", examples="weft tools get search_documents")
async def get_tool(session: Session, tool: ToolName) -> None:
    """Show a tool with the JSON Schema of its arguments."""
    answer = await session.api.call(session.api.tools.GetTool, pb.GetToolRequest(name=tool))
    session.out.one(answer.tool, DETAILS)


@command(
    group,
    "run",
    examples="""
weft tools run search_documents '{"query": "roses"}' --agent agt_01h…
echo '{"title": "Prune the roses"}' | weft tools run create_task - --agent agt_01h…""",
)
async def run_tool(
    session: Session,
    tool: ToolName,
    arguments: Annotated[
        str, typer.Argument(metavar="JSON", help="Its arguments; @FILE reads them from a file, - from standard input.")
    ] = "{}",
    agent: Annotated[str, typer.Option(help="Id of the agent in whose name it is done: it must have the tool.")] = "",
    project: Annotated[str, typer.Option(help="Project that the tool works in; else the tenant's default.")] = "",
    request_id: Annotated[
        str, typer.Option("--request", help="Makes the call repeatable: the same id gives the same result.")
    ] = "",
) -> int:
    """Call a tool, and show what it gives. Ends with 1 when it failed."""
    if not agent:
        raise CommandError("--agent is needed: a tool is called in the name of an agent that has it; weft agents list")
    request = pb.ExecuteToolRequest(
        agent_id=agent,
        name=tool,
        arguments_json=_read(arguments),
        project_id=project,
        request_id=request_id or f"cli-{uuid4()}",
    )
    last = pb.ExecuteToolResponse()
    async for event in session.api.stream(session.api.tools.ExecuteTool, request, CALL_SECONDS):
        last = event
        if event.HasField("progress") and not session.out.is_json:
            session.out.printer.error_line(event.progress.message)
    _show(session, last)
    return 0 if last.HasField("completed") else FAILED


def _show(session: Session, last: pb.ExecuteToolResponse) -> None:
    if session.out.is_json or last.HasField("completed"):
        session.out.done(last, last.completed.content)
        return
    reason = event_pb2.ToolFailureReason.Name(last.failed.reason).removeprefix("TOOL_FAILURE_REASON_")
    session.out.printer.error(f"error: {last.failed.message} [{reason}]")


def _read(arguments: str) -> str:
    if arguments == "-":
        return sys.stdin.read()
    if not arguments.startswith("@"):
        return arguments
    try:
        return Path(arguments[1:]).read_text()
    except OSError as error:
        raise CommandError(f"{arguments[1:]} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CommandError(f"{arguments[1:]} cannot be read: it is not UTF-8") from None
