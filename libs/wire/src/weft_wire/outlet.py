"""What a process says over Redis: rings, live events, cancel signals. Saying never blocks and never fails."""

import asyncio
import logging
from collections import deque
from typing import Final

from weft_wire import names
from weft_wire.link import ANSWER_SECONDS, CONNECT_SECONDS, LOST, Connection, Pauses, new_connection

logger = logging.getLogger(__name__)

_MAX_QUEUED: Final = 10_000
_MAX_QUEUED_BYTES: Final = 32 * 1024 * 1024
_MAX_BATCH: Final = 200

Command = tuple[str | bytes | int, ...]


class RedisOutlet:
    """One connection, fed from a bounded queue. What does not fit is dropped: every listener has a slower way."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._queue: deque[tuple[Command, int]] = deque()
        self._queued_bytes = 0
        self._rings = 0
        self._something = asyncio.Event()
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """How many messages were dropped so far, the queue being full or Redis away."""
        return self._dropped

    def ring(self, count: int = 1) -> None:
        """Wake up to `count` runners."""
        self._rings = min(self._rings + count, names.DOORBELL_LIMIT)
        self._something.set()

    def publish(self, watched_id: str, frame: bytes) -> None:
        """Tell whoever watches a run or a thread; see `names.events_channel`."""
        self._say(("PUBLISH", names.events_channel(watched_id), frame), len(frame))

    def signal(self, runner_id: str, run_id: str, epoch: int) -> None:
        """Tell a runner to stop a run."""
        self._say(("PUBLISH", names.cancel_channel(runner_id), f"{run_id} {epoch}"), 64)

    async def run(self) -> None:
        """Send until cancelled. Nothing else of this class needs it to be running."""
        connection = new_connection(self._url)
        pauses = Pauses()
        try:
            while True:
                try:
                    async with asyncio.timeout(CONNECT_SECONDS):
                        await connection.connect()
                    await self._send_all(connection, pauses)
                except LOST as error:
                    self._forget()
                    logger.warning("live wire lost, what is said meanwhile is dropped: %s", error)
                    await connection.disconnect(nowait=True)
                    await asyncio.sleep(pauses.next_seconds())
        finally:
            await connection.disconnect(nowait=True)

    def _say(self, command: Command, size: int) -> None:
        if len(self._queue) >= _MAX_QUEUED or self._queued_bytes + size > _MAX_QUEUED_BYTES:
            self._dropped += 1
            return
        self._queue.append((command, size))
        self._queued_bytes += size
        self._something.set()

    async def _send_all(self, connection: Connection, pauses: Pauses) -> None:
        while True:
            self._something.clear()
            while batch := self._take():
                async with asyncio.timeout(ANSWER_SECONDS):
                    await connection.send_packed_command(connection.pack_commands(batch))
                    for _ in batch:
                        await connection.read_response()
                pauses.reset()
            await self._something.wait()

    def _take(self) -> list[Command]:
        """Return the next commands. The bell goes first: a run that waits for its start is dearer than a delta."""
        batch: list[Command] = []
        if self._rings:
            batch.append(("RPUSH", names.DOORBELL, *["1"] * self._rings))
            batch.append(("LTRIM", names.DOORBELL, -names.DOORBELL_LIMIT, -1))
            self._rings = 0
        while self._queue and len(batch) < _MAX_BATCH:
            command, size = self._queue.popleft()
            self._queued_bytes -= size
            batch.append(command)
        return batch

    def _forget(self) -> None:
        """Drop what waited: by the time Redis is back, its readers have it from the log. One ring stays."""
        self._dropped += len(self._queue)
        self._queue.clear()
        self._queued_bytes = 0
        self._rings = max(self._rings, 1)
