"""The bell that wakes an idle runner: a list, popped by one."""

import asyncio

from weft_wire import names
from weft_wire.link import LOST, Pauses, new_connection

_SLACK_SECONDS = 0.5


class Doorbell:
    """Waits for a ring, on a connection of its own. Not for two waiters at once."""

    def __init__(self, url: str) -> None:
        self._connection = new_connection(url)
        self._pauses = Pauses()

    async def wait(self, timeout_seconds: float) -> bool:
        """Tell whether it rang in time. Without Redis it never does: the caller's poll is the net.

        Cancelled while waiting, a ring may be lost with it.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_seconds
        try:
            async with asyncio.timeout(timeout_seconds + _SLACK_SECONDS):
                return await self._pop(timeout_seconds)
        except LOST:
            await self.close()
            await asyncio.sleep(max(min(self._pauses.next_seconds(), end - loop.time()), 0))
            return False
        except asyncio.CancelledError:
            await self.close()  # an answer that is still to come must not be taken for the next one's
            raise

    async def close(self) -> None:
        await self._connection.disconnect(nowait=True)

    async def _pop(self, timeout_seconds: float) -> bool:
        connection = self._connection
        await connection.connect()
        await connection.send_command("BLPOP", names.DOORBELL, f"{max(timeout_seconds, 0.01):.3f}")
        answer = await connection.read_response()
        self._pauses.reset()
        return answer is not None
