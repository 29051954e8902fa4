"""A tenant, an agent, runners and callers on a real PostgreSQL, for tests of the life of runs."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Self
from uuid import UUID

import asyncpg
import uuid_utils.compat
from weft.runs.v1 import event_pb2, run_pb2
from weft.threads.v1 import message_pb2
from weft_cli.stack import Stack
from weft_core.caller import Caller, CallerKind
from weft_threads.events.append import Append
from weft_threads.events.log import RunLog
from weft_threads.runs.admission import Admission, Initiated, Initiation
from weft_threads.runs.announce import Announcer
from weft_threads.runs.commit import Committer, Entry, Result
from weft_threads.runs.end import Ending
from weft_threads.runs.held_claims import HeldClaims
from weft_threads.runs.queue import Claimed, RunQueue
from weft_threads.runs.reaper import Reaper
from weft_threads.store.database import Database

LEASE = timedelta(seconds=4)


def superuser_url(postgres: Stack) -> str:
    """Whom row-level security does not bind, in Weft's own database."""
    return postgres.database_url("postgres").rpartition("/")[0] + "/weft"


def new_id() -> UUID:
    return uuid_utils.compat.uuid7()


@dataclass
class Wires:
    """Remembers what was told: rings, frames by run, stops."""

    rings: int = 0
    frames: list[tuple[str, bytes]] = field(default_factory=list)
    stops: list[tuple[str, str, int]] = field(default_factory=list)

    def ring(self, count: int = 1) -> None:
        self.rings += count

    def publish(self, run_id: str, frame: bytes) -> None:
        self.frames.append((run_id, frame))

    def signal(self, runner_id: str, run_id: str, epoch: int) -> None:
        self.stops.append((runner_id, run_id, epoch))


@dataclass
class World:
    dsn: str
    database: Database
    wires: Wires
    tenant: UUID
    agent: UUID
    admin: "asyncpg.Connection[asyncpg.Record]"

    @classmethod
    async def open(cls, stack: AsyncExitStack, postgres: Stack) -> Self:
        urls = {role: postgres.database_url(role) for role in ("weft_app", "weft_queue")}
        urls["postgres"] = superuser_url(postgres)
        admin = await asyncpg.connect(urls["postgres"])
        stack.push_async_callback(admin.close)
        database = await Database.open(stack, urls["weft_app"], urls["weft_queue"], 8, 8)
        world = cls(urls["postgres"], database, Wires(), new_id(), new_id(), admin)
        await world._make_tenant()
        return world

    async def _make_tenant(self) -> None:
        project, version = new_id(), new_id()
        async with self.admin.transaction():
            await self.admin.execute(
                "INSERT INTO tenants (tenant_id, display_name, default_agent_id, default_project_id, created_by) "
                "VALUES ($1, 'test', $2, $3, 'test')",
                self.tenant,
                self.agent,
                project,
            )
            await self.admin.execute(
                "INSERT INTO projects (tenant_id, project_id, display_name, created_by) "
                "VALUES ($1, $2, 'test', 'test')",
                self.tenant,
                project,
            )
            await self.admin.execute(
                "INSERT INTO agents (tenant_id, agent_id, display_name, current_version_id, created_by) "
                "VALUES ($1, $2, 'test', $3, 'test')",
                self.tenant,
                self.agent,
                version,
            )
            await self.admin.execute(
                "INSERT INTO agent_versions (tenant_id, agent_version_id, agent_id, number, spec, created_by) "
                "VALUES ($1, $2, $3, 1, '', 'test')",
                self.tenant,
                version,
                self.agent,
            )
            await self.admin.execute("UPDATE clock SET shift = '0'")
            # As a live reaper would: a stamp that is old would hold back every takeover.
            await self.admin.execute("UPDATE reaper SET stamp_time = weft_now(), reclaim_time = weft_now()")

    @property
    def announcer(self) -> Announcer:
        return Announcer(self.wires, self.wires, self.wires)

    @property
    def caller(self) -> Caller:
        return Caller(CallerKind.CALLER, self.tenant, "tester", frozenset())

    @property
    def queue(self) -> RunQueue:
        return RunQueue(self.database, self.announcer, new_id, LEASE, HeldClaims(self.wires))

    @property
    def ending(self) -> Ending:
        return Ending(self.database, self.announcer)

    @property
    def reaper(self) -> Reaper:
        return Reaper(self.database, self.announcer, LEASE)

    @property
    def log(self) -> RunLog:
        return RunLog(self.database)

    async def say(self, text: str, thread: UUID | None = None, strategy: str | None = None, **more: Any) -> Initiated:
        asked = Initiation(text=text, thread_id=thread, strategy=strategy, **more)
        return await Admission(self.database, self.announcer, new_id).initiate(self.caller, asked)

    async def claim(self, runner: UUID) -> Claimed | None:
        claimed = await self.queue.claim(runner, 1)
        return claimed[0] if claimed else None

    async def commit(self, entry: Entry) -> Result:
        return (await Committer(self.database, self.announcer, new_id).commit([entry]))[0]

    async def run(self, run_id: UUID) -> Any:
        return await self.row("SELECT * FROM runs WHERE run_id = $1", run_id)

    async def row(self, query: str, *args: object) -> Any:
        """Return the one row of a query, as a superuser."""
        row = await self.admin.fetchrow(query, *args)
        assert row is not None
        return row

    async def types(self, run_id: UUID) -> list[str]:
        rows = await self.admin.fetch("SELECT type FROM run_events WHERE run_id = $1 ORDER BY seq", run_id)
        return [row["type"] for row in rows]

    async def move_clock(self, by: timedelta) -> None:
        """Move the database's clock, as if this much time had passed; the reaper is taken to have looked meanwhile."""
        await self.admin.execute("UPDATE clock SET shift = shift + $1", by)
        await self.admin.execute("UPDATE reaper SET stamp_time = weft_now()")


def append_to(claimed: Claimed, events: Sequence[tuple[str, bytes]] = (), seq: int | None = None) -> Append:
    run = claimed.run
    expected = claimed.last_seq if seq is None else seq
    return Append(run["tenant_id"], run["run_id"], run["epoch"], expected, tuple(events))


def delta(claimed: Claimed, text: str, offset: int = 0) -> tuple[str, bytes]:
    return "message.delta", event_pb2.MessageDelta(text=text, offset=offset).SerializeToString()


def text_content(text: str) -> bytes:
    return message_pb2.MessageContent(parts=[message_pb2.Part(text=text)]).SerializeToString()


def calls_content(*names: str) -> bytes:
    calls = [message_pb2.ToolCall(call_id="c", name=name, arguments_json="{}", index=n) for n, name in enumerate(names)]
    return message_pb2.MessageContent(parts=[message_pb2.Part(tool_call=call) for call in calls]).SerializeToString()


def answer(claimed: Claimed, text: str = "answer", seq: int | None = None) -> Entry:
    """The last entry of a run: its step ends, its answer is stored, it succeeds."""
    assert claimed.begun_step is not None
    assert claimed.begun_attempt is not None
    return Entry(
        append_to(claimed, seq=seq),
        step_end=(claimed.begun_step, claimed.begun_attempt, True, 10, 5, 0, "", False, "m", None),
        messages=((claimed.message_id, claimed.begun_step, "assistant", text_content(text), False, None, None),),
        transition=(
            "succeeded",
            event_pb2.RunSucceeded(finish=run_pb2.FINISH_STOP).SerializeToString(),
            "stop",
            None,
            None,
            None,
            None,
        ),
    )


def stop(claimed: Claimed, seq: int | None = None) -> Entry:
    return Entry(append_to(claimed, seq=seq), transition=("cancelled", b"", None, None, None, None, timedelta(0)))
