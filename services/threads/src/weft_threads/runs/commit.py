"""Writing what runners did: the batch of one Commit."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias
from uuid import UUID

import asyncpg

from weft_threads.events.append import Append, append_events
from weft_threads.events.frames import logged_events
from weft_threads.runs.announce import Announcer
from weft_threads.store.database import Database, DriverConnection

COMMIT_ENTRY = "SELECT * FROM commit_entry($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"

# What a wrong entry raises: it will be wrong again. WF002 is raised by the schema's functions themselves.
DATA_ERRORS = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.ProgramLimitExceededError)

StepEnd: TypeAlias = tuple[int, int, bool, int | None, int | None, int | None, str, bool, str, int | None]
NewMessage: TypeAlias = tuple[UUID, int, str, bytes, bool, str | None, bytes | None]
Transition: TypeAlias = tuple[str, bytes, str | None, bytes | None, str | None, timedelta | None, timedelta | None]


@dataclass(frozen=True, slots=True)
class Entry:
    """What happened in one run; the tuples are the composite types of the schema."""

    append: Append
    step_end: StepEnd | None = None
    messages: tuple[NewMessage, ...] = ()
    begin_step: tuple[int, int] | None = None
    transition: Transition | None = None

    @property
    def is_plain(self) -> bool:
        return self.step_end is None and not self.messages and self.begin_step is None and self.transition is None


@dataclass(frozen=True, slots=True)
class Result:
    """How the run stands after an entry. A `data_error` says that the entry can never be written."""

    state: str = ""
    epoch: int = 0
    last_seq: int = 0
    stop_requested: bool = False
    begun_message: UUID | None = None
    data_error: str = ""


class Committer:
    def __init__(self, database: Database, announcer: Announcer, new_id: Callable[[], UUID]) -> None:
        self._database, self._announcer, self._new_id = database, announcer, new_id

    async def commit(self, entries: Sequence[Entry]) -> list[Result]:
        """Write entries of different runs: the plain ones in one transaction, each other in its own.

        Mixed in one transaction they would deadlock with initiate, which locks the thread first.

        Raises:
            UnavailableError: the database is away; some entries may be written, and the same batch may come again.
        """
        plain = [entry.append for entry in entries if entry.is_plain]
        others = [entry for entry in entries if not entry.is_plain]
        # All of them come to their end before one failure is told: the runner repeats the identical batch.
        outcomes = await asyncio.gather(
            self._append(plain), *(self._write(entry) for entry in others), return_exceptions=True
        )
        results: dict[UUID, Result] = {}
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
            results |= outcome
        return [results.get(entry.append.run_id, Result(data_error="no such run")) for entry in entries]

    async def _append(self, batch: Sequence[Append]) -> dict[UUID, Result]:
        if not batch:
            return {}
        try:
            standing, events = await self._database.call_queue(append_events, batch)
        except DATA_ERRORS as error:
            return await self._bisect(batch, error)
        self._announcer.events(events)
        return {
            run_id: Result(each.state, each.epoch, each.last_seq, each.stop_requested)
            for run_id, each in standing.items()
        }

    async def _bisect(self, batch: Sequence[Append], error: Exception) -> dict[UUID, Result]:
        """Find the entry that is wrong, so that it fails alone."""
        if len(batch) == 1:
            return {batch[0].run_id: Result(data_error=str(error))}
        middle = len(batch) // 2
        return await self._append(batch[:middle]) | await self._append(batch[middle:])

    async def _write(self, entry: Entry) -> dict[UUID, Result]:
        try:
            row = await self._database.call_queue(_commit_entry, entry, self._new_id)
        except DATA_ERRORS as error:
            return {entry.append.run_id: Result(data_error=str(error))}
        except asyncpg.PostgresError as error:
            if error.sqlstate != "WF002":
                raise
            return {entry.append.run_id: Result(data_error=str(error))}
        if row["state"] is None:
            return {}
        self._announcer.events(logged_events(row["events"]))
        self._announcer.ready(int(row["is_ready"]))
        standing = (row["state"], row["epoch"], row["last_seq"], row["stop_requested"])
        return {entry.append.run_id: Result(*standing, begun_message=row["begun_message"])}


async def _commit_entry(connection: DriverConnection, entry: Entry, new_id: Callable[[], UUID]) -> asyncpg.Record:
    append, (step, attempt) = entry.append, entry.begin_step or (None, None)
    row = await connection.fetchrow(
        COMMIT_ENTRY,
        append.tenant_id,
        append.run_id,
        append.epoch,
        append.expected_seq,
        [type_ for type_, _ in append.events],
        [payload for _, payload in append.events],
        entry.step_end,
        list(entry.messages),
        step,
        attempt,
        None if step is None else new_id(),
        entry.transition,
    )
    assert row is not None
    return row
