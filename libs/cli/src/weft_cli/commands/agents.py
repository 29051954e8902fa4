"""`weft agents`."""

from pathlib import Path
from typing import Annotated

import typer
from google.protobuf import json_format
from weft.agents.v1 import agent_pb2
from weft.agents.v1 import agent_service_pb2 as pb
from weft.agents.v1.agent_pb2 import Agent
from weft.runs.v1 import run_pb2

from weft_cli import words
from weft_cli.commands.command import CommandError, Session, command
from weft_cli.commands.options import AgentArgument, Force, Limit, Yes, confirm, mask
from weft_cli.strategy import Strategy
from weft_cli.tables import Column

group = typer.Typer(no_args_is_help=True, help="Agents: list, look at, make, change, delete.")


def _strategy(spec: agent_pb2.AgentSpec) -> str:
    return words.enum_word(run_pb2.BusyStrategy.Name(spec.busy_strategy), "BUSY_STRATEGY_")


COLUMNS = (
    Column[Agent]("AGENT", lambda agent: agent.agent_id),
    Column[Agent]("NAME", lambda agent: agent.display_name, width=10),
    Column[Agent]("MODEL", lambda agent: agent.spec.model or "default", rank=1),
    Column[Agent]("TOOLS", lambda agent: ", ".join(agent.spec.tools) or "–", rank=4, width=10),
    Column[Agent]("BUSY", lambda agent: _strategy(agent.spec), rank=3),
    Column[Agent]("VERSION", lambda agent: str(agent.version_number), rank=5, is_number=True),
    Column[Agent]("CHANGED", lambda agent: words.ago(agent.update_time), rank=2),
)
DETAILS = (
    Column[Agent]("AGENT", lambda agent: agent.agent_id),
    Column[Agent]("NAME", lambda agent: agent.display_name),
    Column[Agent]("FOR", lambda agent: agent.description),
    Column[Agent]("MODEL", lambda agent: agent.spec.model or "the installation's default"),
    Column[Agent]("TOOLS", lambda agent: ", ".join(agent.spec.tools)),
    Column[Agent]("WHEN BUSY", lambda agent: _strategy(agent.spec)),
    Column[Agent]("INSTRUCTIONS", lambda agent: agent.spec.system_instructions),
    Column[Agent]("TASK", lambda agent: agent.spec.task_instructions),
    Column[Agent]("MODEL CALLS", lambda agent: f"at most {agent.spec.limits.max_model_calls} in a run"),
    Column[Agent]("VERSION", lambda agent: f"{agent.version_number}  {agent.agent_version_id}"),
    Column[Agent]("MADE", lambda agent: words.local(agent.create_time)),
    Column[Agent]("CHANGED", lambda agent: words.local(agent.update_time)),
    Column[Agent]("BY", lambda agent: agent.created_by),
)

Description = Annotated[str | None, typer.Option(help="What it is for, for people.")]
Instructions = Annotated[str | None, typer.Option(help="What stands above every conversation.")]
Task = Annotated[str | None, typer.Option(help="What it is to do.")]
Model = Annotated[str | None, typer.Option(help="The model, as the provider names it.")]
Tools = Annotated[list[str], typer.Option("--tool", help="A tool that the model is offered; repeat for more.")]
Temperature = Annotated[float | None, typer.Option(help="How freely the model chooses, 0 to 2.")]
Busy = Annotated[Strategy | None, typer.Option("--strategy", help="What to do with a message for a busy thread.")]
SpecFile = Annotated[
    Path | None,
    typer.Option("--spec", exists=True, dir_okay=False, help="JSON file with an AgentSpec; options go over it."),
]


@command(
    group,
    "list",
    examples="""
weft agents list
weft agents list --json | jq '.agents[] | {agentId, displayName}'""",
)
async def list_agents(session: Session, limit: Limit = None) -> None:
    """List agents."""
    agents = await session.api.pages(session.api.agents.ListAgents, pb.ListAgentsRequest(), "agents", limit)
    session.out.rows("agents", agents, COLUMNS, "no agents")


@command(group, "get", examples="weft agents get agt_01h…")
async def get_agent(session: Session, agent: AgentArgument) -> None:
    """Show an agent with all of its content."""
    answer = await session.api.call(session.api.agents.GetAgent, pb.GetAgentRequest(agent_id=agent))
    session.out.one(answer.agent, DETAILS)


@command(
    group,
    "create",
    examples="""
weft agents create Gardener --tool search_documents --tool read_document
weft agents create Poet --instructions "Answer in verse." --model gpt-5-mini""",
)
async def create_agent(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name, for people.")],
    description: Description = None,
    instructions: Instructions = None,
    task: Task = None,
    model: Model = None,
    tools: Tools = [],  # noqa: B006 - typer copies it
    temperature: Temperature = None,
    strategy: Busy = None,
    spec_file: SpecFile = None,
) -> None:
    """Make an agent. Without options it is a plain chat with the default model."""
    spec, _ = _spec(spec_file, instructions, task, model, tools, strategy)
    if temperature is not None:
        spec.model_parameters.temperature = temperature
    request = pb.CreateAgentRequest(display_name=name, description=description or "", spec=spec)
    answer = await session.api.call(session.api.agents.CreateAgent, request)
    session.out.one(answer.agent, DETAILS)


@command(
    group,
    "update",
    examples="""
weft agents update agt_01h… --name "Head gardener" --model gpt-5
weft agents update agt_01h… --no-tools""",
)
async def update_agent(
    session: Session,
    agent: AgentArgument,
    name: Annotated[str | None, typer.Option(help="The new name.")] = None,
    description: Description = None,
    instructions: Instructions = None,
    task: Task = None,
    model: Model = None,
    tools: Tools = [],  # noqa: B006 - typer copies it
    no_tools: Annotated[bool, typer.Option("--no-tools", help="Offer the model no tools.")] = False,
    strategy: Busy = None,
    spec_file: SpecFile = None,
) -> None:
    """Change an agent. What is not named stays; a change of its content makes a new version, for runs made later."""
    spec, paths = _spec(spec_file, instructions, task, model, tools, strategy)
    named = {"display_name": name, "description": description}
    paths += [path for path, value in named.items() if value is not None]
    paths += ["spec.tools"] if no_tools and "spec" not in paths else []
    if not paths:
        raise CommandError("nothing to change: name at least one option")
    request = pb.UpdateAgentRequest(
        agent_id=agent, display_name=name or "", description=description or "", spec=spec, update_mask=mask(*paths)
    )
    answer = await session.api.call(session.api.agents.UpdateAgent, request)
    session.out.one(answer.agent, DETAILS)


@command(group, "delete", examples="weft agents delete agt_01h… --yes")
async def delete_agent(session: Session, agent: AgentArgument, force: Force = False, yes: Yes = False) -> None:
    """Delete an agent. Its threads stay."""
    confirm(session, f"Delete {agent}?", yes=yes)
    answer = await session.api.call(session.api.agents.DeleteAgent, pb.DeleteAgentRequest(agent_id=agent, force=force))
    session.out.done(answer, f"deleted: {agent}")


def _spec(
    file: Path | None,
    instructions: str | None,
    task: str | None,
    model: str | None,
    tools: list[str],
    strategy: Strategy | None,
) -> tuple[agent_pb2.AgentSpec, list[str]]:
    """Return the content that the options say, and the paths of an update mask for it."""
    spec = _read_spec(file) if file else agent_pb2.AgentSpec()
    given = {"system_instructions": instructions, "task_instructions": task, "model": model}
    paths = [name for name, value in given.items() if value is not None]
    for name in paths:
        setattr(spec, name, given[name])
    if tools:
        del spec.tools[:]
        spec.tools.extend(tools)
        paths.append("tools")
    if strategy is not None:
        spec.busy_strategy = run_pb2.BusyStrategy.Value(f"BUSY_STRATEGY_{strategy.name}")
        paths.append("busy_strategy")
    return spec, ["spec"] if file else [f"spec.{name}" for name in paths]


def _read_spec(file: Path) -> agent_pb2.AgentSpec:
    try:
        return json_format.Parse(file.read_text(), agent_pb2.AgentSpec())
    except (json_format.ParseError, ValueError) as error:
        raise CommandError(f"{file} is no AgentSpec: {error}") from None
