"""The queue of runs, as runners see it: registration, leases, claims, releases."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
from weft_core.errors import FailedPreconditionError, WeftError
from weft_telemetry import names
from weft_telemetry.metrics import recorder

from weft_threads.events.frames import logged_events
from weft_threads.runs.announce import Announcer
from weft_threads.runs.context import transcript_of
from weft_threads.runs.held_claims import HeldClaims
from weft_threads.runs.transcript import Transcript
from weft_threads.store.database import Database, DriverConnection

STALE_TRIES = 5
# A runner waits for 5 s: what is claimed after that is lost to it for two heartbeats.
CLAIM_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Claimed:
    """A run in new hands. `run` is its row; `begun_*` are None when pending tool calls come first."""

    run: Any
    last_seq: int
    remaining: timedelta
    finished_steps: int
    begun_step: int | None
    begun_attempt: int | None
    message_id: UUID
    transcript: Transcript
    has_more: bool = False
    wants_title: bool = False


@dataclass(frozen=True, slots=True)
class Owned:
    tenant_id: UUID
    run_id: UUID
    epoch: int
    stop_requested: bool = False


class RunQueue:
    def __init__(
        self,
        database: Database,
        announcer: Announcer,
        new_id: Callable[[], UUID],
        lease: timedelta,
        held: HeldClaims,
    ) -> None:
        self._database, self._announcer, self._new_id, self.lease = database, announcer, new_id, lease
        self._held = held
        self._record_latency = recorder(names.CLAIM_LATENCY)

    async def register(self, host: str) -> UUID:
        """Make a runner with a fresh id: an old incarnation is never revived by a new process."""
        runner_id = self._new_id()
        await self._database.call_queue(_execute, "SELECT register_runner($1, $2, $3)", runner_id, host, self.lease)
        return runner_id

    async def heartbeat(self, runner_id: UUID) -> list[Owned]:
        """Renew the lease and return what the runner owns.

        Raises:
            FailedPreconditionError: RUNNER_UNKNOWN.
        """
        rows = await self._database.call_queue(_heartbeat, runner_id, self.lease)
        if rows is None:
            raise unknown_runner()
        return [Owned(*row) for row in rows]

    async def claim(self, runner_id: UUID, max_runs: int, wait: timedelta = timedelta()) -> list[Claimed]:
        """Take up runs, each in a transaction of its own, until none is left or enough are taken. With none, wait.

        Raises:
            FailedPreconditionError: RUNNER_UNKNOWN or LEASE_EXPIRED, when nothing was taken.
        """
        claimed = await self._claim_now(runner_id, max_runs)
        if not claimed and wait and await self._held.wait(wait.total_seconds()):
            return await self._claim_now(runner_id, max_runs)
        return claimed

    async def _claim_now(self, runner_id: UUID, max_runs: int) -> list[Claimed]:
        claimed: list[Claimed] = []
        until = asyncio.get_running_loop().time() + CLAIM_SECONDS
        while len(claimed) < max_runs and asyncio.get_running_loop().time() < until:
            try:
                row = await self._claim_one(runner_id)
            except WeftError:
                if not claimed:
                    raise
                break  # what was taken must reach the runner
            if row is None:
                break
            claimed.append(row)
            if not row.has_more:
                break
        return claimed

    async def _claim_one(self, runner_id: UUID) -> Claimed | None:
        message_id = self._new_id()
        row = await self._database.call_queue(_claim, runner_id, message_id)
        if row["outcome"] == "claimed":
            return self._claimed(row, message_id)
        _refuse(row["outcome"])
        return None

    def _claimed(self, row: asyncpg.Record, message_id: UUID) -> Claimed:
        events = logged_events(row["events"])
        self._announcer.events(events)
        if row["waited"] is not None:
            self._record_latency(row["waited"].total_seconds())
        run = row["run"]
        return Claimed(
            run=run,
            last_seq=events[-1].seq,
            remaining=max(run["deadline_time"] - events[0].create_time, timedelta(0)),
            finished_steps=row["finished_steps"],
            begun_step=row["begun_step"],
            begun_attempt=row["begun_attempt"],
            message_id=message_id,
            transcript=transcript_of(row, run["run_id"]),
            has_more=row["has_more"],
            wants_title=row["wants_title"],
        )

    async def release(self, runner_id: UUID, runs: Sequence[Owned]) -> int:
        """Give runs back, and wake others to take them."""
        released = 0
        for run in runs:
            released += await self._database.call_queue(
                _fetchval, "SELECT release_run($1, $2, $3, $4)", runner_id, run.tenant_id, run.run_id, run.epoch
            )
        self._announcer.ready(released)
        return released


def unknown_runner() -> FailedPreconditionError:
    return FailedPreconditionError("RUNNER_UNKNOWN", "no runner is registered under this id; register again")


def _refuse(outcome: str) -> None:
    if outcome == "unknown_runner":
        raise unknown_runner()
    if outcome == "lease_expired":
        raise FailedPreconditionError("LEASE_EXPIRED", "the runner's lease has expired; send a heartbeat first")


async def _execute(connection: DriverConnection, sql: str, *args: object) -> None:
    await connection.execute(sql, *args)


async def _claim(connection: DriverConnection, runner_id: UUID, message_id: UUID) -> asyncpg.Record:
    """Claim, and again while the candidate turns out to be another's."""
    tries = 0
    while True:
        tries += 1
        row = await connection.fetchrow("SELECT * FROM claim_run($1, $2)", runner_id, message_id)
        assert row is not None
        if row["outcome"] != "stale" or tries == STALE_TRIES:
            return row


async def _fetchval(connection: DriverConnection, sql: str, *args: object) -> Any:
    return await connection.fetchval(sql, *args)


async def _heartbeat(connection: DriverConnection, runner_id: UUID, lease: timedelta) -> list[asyncpg.Record] | None:
    if not await connection.fetchval("SELECT heartbeat($1, $2)", runner_id, lease):
        return None
    return await connection.fetch("SELECT * FROM owned_runs($1)", runner_id)
