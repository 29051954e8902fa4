"""The `weft` command."""

from pathlib import Path
from typing import Annotated

import typer

from weft_cli import place
from weft_cli.commands import agents, documents, projects, runs, threads, tools
from weft_cli.commands import talk as talk_commands
from weft_cli.commands import usage as usage_command
from weft_cli.commands.command import DataDir
from weft_cli.console import Printer

app = typer.Typer(name="weft", no_args_is_help=True, pretty_exceptions_enable=False)

TALK, MANAGE, STACK = "Talk", "Look and manage", "Run a stack"


@app.callback(
    epilog="Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 not ended in time, 130 interrupted. "
    "Errors go to standard error, in one line. NO_COLOR turns colours off."
)
def weft() -> None:
    """LLM agents over gRPC: run a stack, talk to agents, watch and stop their runs."""


@app.command(rich_help_panel=STACK, epilog="Example:\n\n$ weft up --replicas 2 --port-base 8400")
def up(
    data_dir: DataDir = place.DEFAULT_FOLDER,
    port_base: Annotated[int, typer.Option(help="First of the hundred ports that the stack may use.")] = 7400,
    replicas: Annotated[int, typer.Option(min=1, max=10, help="Instances of each service.")] = 1,
) -> None:
    """Start PostgreSQL, Redis, Envoy and the services on this machine, and stop them with Ctrl-C.

    The data stay in the folder. OPENAI_API_KEY, OPENAI_BASE_URL and WEFT_MODEL choose a real model; without a key a
    scripted one answers, offline. Further WEFT_ variables reach the services as they are.
    """
    from weft_cli.up import Up

    raise typer.Exit(Up(Printer(), data_dir, port_base, replicas).run())


@app.command(rich_help_panel=STACK, epilog="Example:\n\n$ weft demo")
def demo(
    documents: Annotated[
        Path | None, typer.Option(help="Folder with the Markdown files to ask about; else this repository.")
    ] = None,
) -> None:
    """Show the main job on a stack of its own, and check what is shown.

    Starts everything in a temporary folder on free ports, always with the scripted model, and stops it. Ends with
    `demo: ok`, or with the name of the check that failed and code 1.
    """
    from weft_cli.demo import library, story

    raise typer.Exit(story.perform(documents or library.find_checkout(), Printer()))


talk_commands.add_to(app, TALK)
for noun, group in (
    ("threads", threads.group),
    ("runs", runs.group),
    ("agents", agents.group),
    ("tools", tools.group),
    ("documents", documents.group),
    ("projects", projects.group),
):
    app.add_typer(group, name=noun, rich_help_panel=MANAGE)
usage_command.add_to(app, MANAGE)
