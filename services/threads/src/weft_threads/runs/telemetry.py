"""What is told of runs and of their queue, from what is committed."""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass

import asyncpg
from weft_core.errors import WeftError
from weft_telemetry import names, state
from weft_telemetry.metrics import observe, recorder

from weft_threads.events.frames import LoggedEvent
from weft_threads.store.database import Database, DriverConnection

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
_MAX_COUNTED = 10_000


class RunMetrics:
    """Looks at events as they are announced: whoever commits an event announces it, once."""

    def __init__(self) -> None:
        self.is_on = state.installed().meter is not None
        self._record_duration = recorder(names.RUN_DURATION)
        self._record_queue_time = recorder(names.RUN_QUEUE_TIME)

    def seen(self, events: Iterable[LoggedEvent]) -> None:
        for event in events:
            if event.is_terminal:
                self._record_duration(_age(event), event.type.removeprefix("run."))
            elif event.type == "run.started":
                self._record_queue_time(_age(event))


def _age(event: LoggedEvent) -> float:
    """Return for how long the run has been accepted: its id, a uuid of version 7, begins with that time in ms."""
    return max(event.create_time.timestamp() - (event.run_id.int >> 80) / 1000, 0.0)


@dataclass(slots=True)
class QueueGauge:
    """How many runs wait for a runner, and the oldest for how long; looked at now and then."""

    database: Database
    ready: int = 0
    oldest_seconds: float = 0.0

    async def run(self) -> None:
        """Look until cancelled."""
        observe(names.QUEUE_READY, lambda: [(self.ready, ())])
        observe(names.QUEUE_OLDEST, lambda: [(self.oldest_seconds, ())])
        while True:
            try:
                row = await self.database.call_queue(_standing)
                self.ready, self.oldest_seconds = row["ready"], row["oldest"].total_seconds()
            except WeftError as error:
                log.debug("the queue could not be looked at: %s", error)
            except Exception:  # a figure is no reason for the service to end
                log.exception("the queue could not be looked at")
            await asyncio.sleep(LOOK_SECONDS)


async def _standing(connection: DriverConnection) -> asyncpg.Record:
    row = await connection.fetchrow("SELECT * FROM queue_standing($1)", _MAX_COUNTED)
    assert row is not None
    return row
