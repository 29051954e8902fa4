"""`weft runs`."""

import math
import time
from enum import StrEnum
from typing import Annotated

import typer
from google.protobuf.duration_pb2 import Duration
from weft.runs.v1 import run_pb2
from weft.runs.v1 import run_service_pb2 as pb
from weft.runs.v1.run_pb2 import Run

from weft_cli import words
from weft_cli.commands.command import FAILED, NOT_ENDED, CommandError, Session, command
from weft_cli.commands.options import Limit, OfAgent, RunArgument
from weft_cli.tables import Column

group = typer.Typer(no_args_is_help=True, help="Runs: list, look at, wait for, stop. `weft events` shows one live.")

WAIT_SECONDS = 30  # one call; the server allows 60
CANCEL_WAIT_SECONDS = 5


class State(StrEnum):
    """The states of a run."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed-out"
    SUPERSEDED = "superseded"


def _style(run: Run) -> str:
    return words.state_style(words.state_of(run))


def _tokens(run: Run) -> str:
    return f"{words.amount(run.usage.input_tokens)}+{words.amount(run.usage.output_tokens)}"


def _why(run: Run) -> str:
    if run.HasField("failure"):
        reason = run_pb2.FailureReason.Name(run.failure.reason)
        return f"{words.enum_word(reason, 'FAILURE_REASON_')}: {run.failure.message}"
    return f"answered by {run.successor_run_id}" if run.successor_run_id else ""


COLUMNS = (
    Column[Run]("RUN", lambda run: run.run_id),
    Column[Run]("STATE", words.state_of, style=_style),
    Column[Run]("TOOK", lambda run: words.took(run, "start_time", "end_time"), rank=2, is_number=True),
    Column[Run]("TOKENS", _tokens, rank=3, is_number=True),
    Column[Run]("COST", lambda run: words.money(run.usage.cost_micros), rank=4, is_number=True),
    Column[Run]("MADE", lambda run: words.ago(run.create_time), rank=1),
    Column[Run]("THREAD", lambda run: run.thread_id, rank=5),
)
DETAILS = (
    Column[Run]("RUN", lambda run: run.run_id),
    Column[Run]("STATE", words.state_of, style=_style),
    Column[Run]("WHY", _why, style=lambda _: "red"),
    Column[Run]("THREAD", lambda run: run.thread_id),
    Column[Run]("AGENT", lambda run: f"{run.agent_id}  version {run.agent_version_id}"),
    Column[Run]("PROJECT", lambda run: run.project_id),
    Column[Run]("REQUEST", lambda run: run.request_id),
    Column[Run]("EVENTS", lambda run: str(run.last_seq)),
    Column[Run]("MODEL CALLS", lambda run: str(run.usage.model_calls)),
    Column[Run]("TOKENS", lambda run: f"{_tokens(run)}  ({words.amount(run.usage.cached_input_tokens)} cached)"),
    Column[Run]("COST", lambda run: words.money(run.usage.cost_micros)),
    Column[Run]("MADE", lambda run: words.local(run.create_time)),
    Column[Run]("STARTED", lambda run: words.local(run.start_time)),
    Column[Run]("ENDED", lambda run: words.local(run.end_time)),
    Column[Run]("STOP ASKED", lambda run: words.local(run.cancel_time)),
    Column[Run]("MODEL CLOSED", lambda run: words.local(run.model_closed_time)),
    Column[Run]("BY", lambda run: run.created_by),
)

States = Annotated[list[State], typer.Option("--state", help="Only those in this state; repeat for more.")]


@command(
    group,
    "list",
    examples="""
weft runs list --limit 20
weft runs list --state running --state waiting
weft runs list --thread thr_01h… --json""",
)
async def list_runs(
    session: Session,
    thread: Annotated[str, typer.Option(help="Only those of this thread.")] = "",
    agent: OfAgent = "",
    states: States = [],  # noqa: B006 - typer copies it
    limit: Limit = None,
) -> None:
    """List runs, newest first."""
    wanted = [run_pb2.RunState.Value(f"RUN_STATE_{state.name}") for state in dict.fromkeys(states)]
    request = pb.ListRunsRequest(thread_id=thread, agent_id=agent, states=wanted)
    runs = await session.api.pages(session.api.runs.ListRuns, request, "runs", limit)
    session.out.rows("runs", runs, COLUMNS, "no runs")


@command(group, "get", examples="weft runs get run_01h…")
async def get_run(session: Session, run: RunArgument) -> None:
    """Show a run: its state, what it used, why it failed."""
    answer = await session.api.call(session.api.runs.GetRun, pb.GetRunRequest(run_id=run))
    session.out.one(answer.run, DETAILS)


@command(
    group,
    "wait",
    examples="""
weft runs wait run_01h…
weft runs wait run_01h… --timeout 30 && echo it succeeded""",
)
async def wait_run(
    session: Session,
    run: RunArgument,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait at most; else until it ends.")] = math.inf,
) -> int:
    """Wait until a run has ended. Ends with 0 when it succeeded, 1 when not, 3 when it has not ended in time."""
    give_up_at = time.monotonic() + timeout
    while True:
        left = min(WAIT_SECONDS, max(0.0, give_up_at - time.monotonic()))
        request = pb.WaitRunRequest(run_id=run, timeout=_duration(left))
        found = (await session.api.call(session.api.runs.WaitRun, request, WAIT_SECONDS + 30)).run
        if found.HasField("end_time") or time.monotonic() >= give_up_at:
            break
    session.out.one(found, DETAILS)
    if not found.HasField("end_time"):
        return NOT_ENDED
    return 0 if found.state == run_pb2.RUN_STATE_SUCCEEDED else FAILED


@command(
    group,
    "cancel",
    examples="""
weft runs cancel run_01h… --wait
weft runs cancel --request 7f3a…""",
)
async def cancel_run(
    session: Session,
    run: Annotated[str, typer.Argument(metavar="[RUN]", help="Id of the run, as run_01h…")] = "",
    request_id: Annotated[
        str, typer.Option("--request", help="Stop the run that this request_id made, or will make.")
    ] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Wait up to 5 s for the run's end.")] = False,
) -> None:
    """Stop a run. One that has ended is shown as it is."""
    if bool(run) == bool(request_id):
        raise CommandError("name either a run or --request")
    request = pb.CancelRunRequest(run_id=run) if run else pb.CancelRunRequest(request_id=request_id)
    if wait:
        request.wait.CopyFrom(Duration(seconds=CANCEL_WAIT_SECONDS))
    answer = await session.api.call(session.api.runs.CancelRun, request)
    if answer.is_tombstone:
        session.out.done(answer, f"no run of {request_id} yet: it will be refused when it comes")
    else:
        session.out.one(answer.run, DETAILS)


def _duration(seconds: float) -> Duration:
    whole = int(seconds)
    return Duration(seconds=whole, nanos=int((seconds - whole) * 1e9))
