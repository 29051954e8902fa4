"""`weft chat`, `weft events` and `weft cancel`."""

from pathlib import Path
from typing import Annotated

import typer
from weft.gateway.v1.agent_gateway_service_pb2 import InitiateAgentRequest
from weft.runs.v1.run_pb2 import BusyStrategy
from weft.threads.v1.attachment_pb2 import NewAttachment

from weft_cli import talk
from weft_cli.commands.command import CommandError, Session, command
from weft_cli.commands.options import RunArgument
from weft_cli.commands.runs import cancel_run
from weft_cli.strategy import Strategy

MAX_SEQ = 2**63 - 1


def add_to(app: typer.Typer, panel: str) -> None:
    command(
        app,
        "chat",
        panel=panel,
        examples="""
weft chat "How are roses pruned?"
weft chat "And when?" --thread thr_01h…
weft chat "What do my notes say?" --file roses.md""",
    )(chat)
    command(app, "events", panel=panel, examples="weft events run_01h… --after 4")(events)
    command(app, "cancel", panel=panel, examples="weft cancel run_01h… --wait")(cancel_run)


async def chat(
    session: Session,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to say.")],
    thread: Annotated[str, typer.Option(help="Thread to go on with; else a new one.")] = "",
    agent: Annotated[str, typer.Option(help="Agent that answers; else the thread's, or the tenant's default.")] = "",
    project: Annotated[str, typer.Option(help="Project of a new thread; else the tenant's default.")] = "",
    strategy: Annotated[
        Strategy | None, typer.Option(help="What to do when the thread is busy; else the agent's default.")
    ] = None,
    file: Annotated[
        list[Path],
        typer.Option(exists=True, dir_okay=False, readable=True, help="A file to send along; repeat for up to 16."),
    ] = [],  # noqa: B006 - typer copies it
) -> int:
    """Say something to an agent, and watch what it does and answers.

    Ends with 0 when the run succeeded. Ctrl-C ends the watch, not the run. With --json, one line for the answer and one
    for each event.
    """
    request = InitiateAgentRequest(
        text=text,
        thread_id=thread,
        agent_id=agent,
        project_id=project,
        busy_strategy=BusyStrategy.Value(f"BUSY_STRATEGY_{strategy.name}" if strategy else "BUSY_STRATEGY_UNSPECIFIED"),
        attachments=[_attachment(path) for path in file],
    )
    return await talk.chat(session.api, session.out.printer, request, is_json=session.out.is_json)


async def events(
    session: Session,
    run: RunArgument,
    after: Annotated[int, typer.Option(min=0, max=MAX_SEQ, help="Seq of the last event that you have.")] = 0,
) -> int:
    """Show the events of a run from any point, live to its end.

    Ends with 0 when the run succeeded, or had ended before that point. With --json, one line for each event.
    """
    return await talk.follow(session.api, session.out.printer, run, after, is_json=session.out.is_json)


def _attachment(path: Path) -> NewAttachment:
    try:
        return NewAttachment(name=path.name, content=path.read_bytes())
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from None
