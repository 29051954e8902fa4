"""Options and arguments that several commands have."""

from typing import Annotated

import typer
from google.protobuf.field_mask_pb2 import FieldMask

from weft_cli.commands.command import CommandError, Session

Limit = Annotated[int | None, typer.Option("--limit", "-n", min=1, help="Show at most so many; else all of them.")]
ThreadArgument = Annotated[str, typer.Argument(metavar="THREAD", help="Id of the thread, as thr_01h…")]
ThreadsArgument = Annotated[list[str], typer.Argument(metavar="THREAD…", help="Ids of threads, as thr_01h…")]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Id of the run, as run_01h…")]
AgentArgument = Annotated[str, typer.Argument(metavar="AGENT", help="Id of the agent, as agt_01h…")]
OfAgent = Annotated[str, typer.Option("--agent", help="Only those of this agent.")]
OfProject = Annotated[str, typer.Option("--project", help="Only those of this project.")]
Project = Annotated[str, typer.Option("--project", help="The project; can be left out when there is only one.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Force = Annotated[bool, typer.Option("--force", help="Also when runs of it have not ended.")]


def pairs_of(texts: list[str], option: str) -> dict[str, str]:
    """Return what `key=value` texts say."""
    split = [text.partition("=") for text in texts]
    wrong = next((key for key, equals, _ in split if not (key and equals)), None)
    if wrong is not None:
        raise CommandError(f"{option} takes KEY=VALUE, and {wrong!r} is not that")
    return {key: value for key, _, value in split}


def confirm(session: Session, question: str, *, yes: bool) -> None:
    """Ask on a terminal; elsewhere it must have been said beforehand."""
    if yes:
        return
    if not session.out.printer.is_terminal:
        raise CommandError("nobody can be asked here: add --yes")
    typer.confirm(question, abort=True)


def mask(*paths: str) -> FieldMask:
    return FieldMask(paths=paths)
