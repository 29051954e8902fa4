"""`weft threads`."""

from typing import Annotated

import typer
from weft.threads.v1 import message_pb2, thread_pb2
from weft.threads.v1 import thread_service_pb2 as pb
from weft.threads.v1.thread_pb2 import Thread

from weft_cli import talk, words
from weft_cli.commands.command import CommandError, Session, command
from weft_cli.commands.options import (
    Limit,
    OfAgent,
    OfProject,
    ThreadArgument,
    ThreadsArgument,
    Yes,
    confirm,
    mask,
    pairs_of,
)
from weft_cli.messages import show_message
from weft_cli.tables import Column

group = typer.Typer(no_args_is_help=True, help="Threads: list, read, watch, rename, put aside, delete.")


def _state(thread: Thread) -> str:
    return words.enum_word(thread_pb2.ThreadAgentState.Name(thread.agent_state), "THREAD_AGENT_STATE_")


def _state_style(thread: Thread) -> str:
    return words.state_style(_state(thread))


def _metadata(thread: Thread) -> str:
    return "  ".join(f"{key}={value}" for key, value in sorted(thread.metadata.items()))


COLUMNS = (
    Column[Thread]("THREAD", lambda thread: thread.thread_id),
    Column[Thread]("TITLE", lambda thread: thread.title or "–", width=12),
    Column[Thread]("STATE", _state, rank=1, style=_state_style),
    Column[Thread]("", lambda thread: "" if thread.is_active else "archived", rank=3, style=lambda _: "dim"),
    Column[Thread]("TURNS", lambda thread: str(thread.last_turn), rank=4, is_number=True),
    Column[Thread]("CHANGED", lambda thread: words.ago(thread.update_time), rank=2),
    Column[Thread]("AGENT", lambda thread: thread.agent_id, rank=5),
)
DETAILS = (
    Column[Thread]("THREAD", lambda thread: thread.thread_id),
    Column[Thread]("TITLE", lambda thread: thread.title),
    Column[Thread]("STATE", _state, style=_state_style),
    Column[Thread]("ARCHIVED", lambda thread: "" if thread.is_active else "yes"),
    Column[Thread]("ATTENTION", lambda thread: thread.attention.message, style=lambda _: "yellow"),
    Column[Thread]("METADATA", _metadata),
    Column[Thread]("TURNS", lambda thread: str(thread.last_turn)),
    Column[Thread]("AGENT", lambda thread: thread.agent_id),
    Column[Thread]("PROJECT", lambda thread: thread.project_id),
    Column[Thread]("CREATED", lambda thread: words.local(thread.create_time)),
    Column[Thread]("CHANGED", lambda thread: words.local(thread.update_time)),
    Column[Thread]("BY", lambda thread: thread.created_by),
)

Metadata = Annotated[
    list[str], typer.Option("--metadata", "-m", metavar="KEY=VALUE", help="Only those with this pair; repeat for more.")
]
Archived = Annotated[
    bool | None, typer.Option("--archived/--active", help="Only those put aside, or only the others; else both.")
]


@command(
    group,
    "list",
    examples="""
weft threads list --limit 20
weft threads list --active --metadata customer=42
weft threads list --json | jq -r '.threads[].threadId'""",
)
async def list_threads(
    session: Session,
    project: OfProject = "",
    agent: OfAgent = "",
    metadata: Metadata = [],  # noqa: B006 - typer copies it
    archived: Archived = None,
    limit: Limit = None,
) -> None:
    """List threads, newest first."""
    request = pb.ListThreadsRequest(
        project_id=project,
        agent_id=agent,
        metadata=pairs_of(metadata, "--metadata"),
        is_active=None if archived is None else not archived,
    )
    threads = await session.api.pages(session.api.threads.ListThreads, request, "threads", limit)
    session.out.rows("threads", threads, COLUMNS, "no threads")


@command(group, "get", examples="weft threads get thr_01h…")
async def get_thread(session: Session, thread: ThreadArgument) -> None:
    """Show a thread."""
    answer = await session.api.call(session.api.threads.GetThread, pb.GetThreadRequest(thread_id=thread))
    session.out.one(answer.thread, DETAILS)


@command(
    group,
    "messages",
    examples="""
weft threads messages thr_01h…
weft threads messages thr_01h… --newest-first --limit 2""",
)
async def list_messages(
    session: Session,
    thread: ThreadArgument,
    newest_first: Annotated[bool, typer.Option("--newest-first", help="Begin with the newest.")] = False,
    limit: Limit = None,
) -> None:
    """Show what was said in a thread, in its order."""
    request = pb.ListMessagesRequest(thread_id=thread, newest_first=newest_first)
    messages: list[message_pb2.Message]
    messages = await session.api.pages(session.api.threads.ListMessages, request, "messages", limit)
    if session.out.is_json or not messages:
        session.out.rows("messages", messages, (), "no messages")
        return
    for message in messages:
        show_message(session.out.printer, message)


@command(
    group,
    "watch",
    examples="""
weft threads watch thr_01h…
weft threads watch thr_01h… --all --json""",
)
async def watch_thread(
    session: Session,
    thread: ThreadArgument,
    show_all: Annotated[bool, typer.Option("--all", help="Begin with the thread's first event, not now.")] = False,
) -> None:
    """Show all that happens in a thread, as it happens: messages, titles, and each run with its events.

    Ends when the thread is deleted. With --json, one line for each event.
    """
    out = session.out
    await talk.watch_thread(session.api, out.printer, thread, from_now=not show_all, is_json=out.is_json)


@command(
    group,
    "update",
    examples="""
weft threads update thr_01h… --title "Warping a loom"
weft threads update thr_01h… --set customer=42 --unset ticket""",
)
async def update_thread(
    session: Session,
    thread: ThreadArgument,
    title: Annotated[str | None, typer.Option(help="The new title; an empty one stays empty.")] = None,
    agent: Annotated[str | None, typer.Option(help="Id of the agent that answers from the next run on.")] = None,
    set_pairs: Annotated[
        list[str], typer.Option("--set", metavar="KEY=VALUE", help="Add this pair to the metadata, or change it.")
    ] = [],  # noqa: B006 - typer copies it
    unset: Annotated[
        list[str], typer.Option("--unset", metavar="KEY", help="Take this pair out of the metadata.")
    ] = [],  # noqa: B006 - typer copies it
) -> None:
    """Change a thread's title, agent or metadata."""
    request = pb.UpdateThreadRequest(thread_id=thread, title=title or "", agent_id=agent or "")
    paths = [name for name, value in (("title", title), ("agent_id", agent)) if value is not None]
    if set_pairs or unset:
        got = await session.api.call(session.api.threads.GetThread, pb.GetThreadRequest(thread_id=thread))
        kept = {key: value for key, value in got.thread.metadata.items() if key not in unset}
        request.metadata.update(kept | pairs_of(set_pairs, "--set"))
        paths.append("metadata")
    if not paths:
        raise CommandError("nothing to change: give --title, --agent, --set or --unset")
    request.update_mask.CopyFrom(mask(*paths))
    answer = await session.api.call(session.api.threads.UpdateThread, request)
    session.out.one(answer.thread, DETAILS)


@command(
    group,
    "archive",
    examples="""
weft threads archive thr_01h…
weft threads archive thr_01h… --undo""",
)
async def archive_threads(
    session: Session,
    threads: ThreadsArgument,
    undo: Annotated[bool, typer.Option("--undo", help="Take them back into use.")] = False,
) -> None:
    """Put threads aside. They can be read and written to all the same; `--active` leaves them out of lists."""
    changed = []
    for thread in threads:
        request = pb.UpdateThreadRequest(thread_id=thread, is_active=undo, update_mask=mask("is_active"))
        changed.append((await session.api.call(session.api.threads.UpdateThread, request)).thread)
    session.out.rows("threads", changed, COLUMNS, "no threads")


@command(
    group,
    "delete",
    examples="""
weft threads delete thr_01h…
weft threads delete --yes thr_01h… thr_01k…""",
)
async def delete_threads(session: Session, threads: ThreadsArgument, yes: Yes = False) -> None:
    """Delete threads with their messages, for good. Runs that have not ended are stopped."""
    confirm(session, f"Delete {len(threads)} thread(s) for good?", yes=yes)
    for thread in threads:
        await session.api.call(session.api.threads.DeleteThread, pb.DeleteThreadRequest(thread_id=thread))
    session.out.done(pb.DeleteThreadResponse(), f"deleted: {', '.join(threads)}")
