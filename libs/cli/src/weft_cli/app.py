"""The `weft` command."""

from pathlib import Path
from typing import Annotated

import typer

from weft_cli import place
from weft_cli.console import Printer

app = typer.Typer(
    name="weft",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

DataDir = Annotated[
    Path,
    typer.Option(
        "--data-dir",
        envvar="WEFT_DATA_DIR",
        help="Folder of the stack: its data, logs and keys.",
        default_factory=place.default_folder,
        show_default="~/.local/share/weft",
    ),
]


@app.callback()
def weft() -> None:
    """LLM agents over gRPC: run a stack, talk to agents, watch and stop their runs."""


@app.command()
def up(
    data_dir: DataDir,
    port_base: Annotated[int, typer.Option(help="First of the hundred ports that the stack may use.")] = 7400,
    replicas: Annotated[int, typer.Option(min=1, max=10, help="Instances of each service.")] = 1,
) -> None:
    """Start PostgreSQL, Redis, Envoy and the services on this machine, and stop them with Ctrl-C.

    The data stay in the folder. OPENAI_API_KEY, OPENAI_BASE_URL and WEFT_MODEL choose a real model; without a key a
    scripted one answers, offline. Further WEFT_ variables reach the services as they are.
    """
    from weft_cli.up import Up

    raise typer.Exit(Up(Printer(), data_dir, port_base, replicas).run())
