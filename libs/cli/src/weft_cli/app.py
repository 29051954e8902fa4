"""The `weft` command."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from weft_cli import place
from weft_cli.console import Printer

if TYPE_CHECKING:
    from weft_cli.talk import Target

app = typer.Typer(
    name="weft",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class Strategy(StrEnum):
    """What to do with a message when the thread is busy."""

    ENQUEUE = "enqueue"
    MERGE = "merge"
    REJECT = "reject"


DataDir = Annotated[
    Path,
    typer.Option(
        "--data-dir",
        envvar="WEFT_DATA_DIR",
        help="Folder of the stack: its data, logs and keys.",
    ),
]


@app.callback()
def weft() -> None:
    """LLM agents over gRPC: run a stack, talk to agents, watch and stop their runs."""


@app.command()
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


Address = Annotated[
    str | None,
    typer.Option(envvar="WEFT_ADDRESS", help="host:port of a gateway; else what weft.json in the folder says."),
]
ApiKey = Annotated[
    str | None, typer.Option(envvar="WEFT_API_KEY", help="API key; else what weft.json in the folder says.")
]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="Id of the run, as run_01h…")]


@app.command()
def chat(
    text: Annotated[str, typer.Argument(help="What to say.")],
    data_dir: DataDir = place.DEFAULT_FOLDER,
    thread: Annotated[str, typer.Option(help="Thread to go on with; else a new one.")] = "",
    agent: Annotated[str, typer.Option(help="Agent that answers; else the thread's, or the tenant's default.")] = "",
    project: Annotated[str, typer.Option(help="Project of a new thread; else the tenant's default.")] = "",
    strategy: Annotated[
        Strategy | None, typer.Option(help="What to do when the thread is busy; else the agent's default.")
    ] = None,
    file: Annotated[
        list[Path] | None,
        typer.Option(exists=True, dir_okay=False, readable=True, help="A file to send along; may be given 16 times."),
    ] = None,
    address: Address = None,
    api_key: ApiKey = None,
) -> None:
    """Say something to an agent, and watch what it does and answers.

    Ends with 0 when the run succeeded. Ctrl-C ends the watch, not the run.
    """
    from weft.gateway.v1.agent_gateway_service_pb2 import InitiateAgentRequest
    from weft.runs.v1.run_pb2 import BusyStrategy
    from weft.threads.v1.attachment_pb2 import NewAttachment

    from weft_cli import talk

    request = InitiateAgentRequest(
        text=text,
        thread_id=thread,
        agent_id=agent,
        project_id=project,
        busy_strategy=BusyStrategy.Value(f"BUSY_STRATEGY_{strategy.name}" if strategy else "BUSY_STRATEGY_UNSPECIFIED"),
        attachments=[NewAttachment(name=path.name, content=path.read_bytes()) for path in file or ()],
    )
    target = _target(address, api_key, data_dir)
    raise typer.Exit(talk.perform(target, Printer(), lambda api, printer: talk.chat(api, printer, request)))


@app.command()
def events(
    run: RunId,
    data_dir: DataDir = place.DEFAULT_FOLDER,
    after: Annotated[int, typer.Option(min=0, help="Seq of the last event that you have.")] = 0,
    address: Address = None,
    api_key: ApiKey = None,
) -> None:
    """Show the events of a run from any point, live to its end.

    Ends with 0 when the run succeeded, or had ended before that point.
    """
    from weft_cli import talk

    target = _target(address, api_key, data_dir)
    raise typer.Exit(talk.perform(target, Printer(), lambda api, printer: talk.follow(api, printer, run, after)))


@app.command()
def cancel(
    run: RunId,
    data_dir: DataDir = place.DEFAULT_FOLDER,
    wait: Annotated[bool, typer.Option("--wait", help="Wait up to 5 s for the run's end.")] = False,
    address: Address = None,
    api_key: ApiKey = None,
) -> None:
    """Stop a run. A run that has ended is shown as it is."""
    from weft_cli import talk

    target = _target(address, api_key, data_dir)
    raise typer.Exit(talk.perform(target, Printer(), lambda api, printer: talk.cancel(api, printer, run, wait=wait)))


@app.command()
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


def _target(address: str | None, api_key: str | None, data_dir: Path) -> "Target":
    from weft_cli.talk import Target

    found = place.find_place(data_dir)
    if found is not None:
        address, api_key = address or found.address, api_key or found.api_key
    if not address or not api_key:
        Printer().error(
            f"error: there is no {data_dir / place.FILE}: start a stack with `weft up`, or give --address and --api-key"
        )
        raise typer.Exit(2)
    return Target(address, api_key)
