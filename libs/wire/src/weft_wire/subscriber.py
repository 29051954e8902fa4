"""One pub/sub connection for all channels that a process listens to."""

import asyncio
import logging
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from weft_wire.link import CONNECT_SECONDS, LOST, Connection, Pauses, new_connection

logger = logging.getLogger(__name__)

_PING_SECONDS: Final = 2.0
_SILENCE_SECONDS: Final = 5.0
_MAX_CHANNELS_PER_COMMAND: Final = 500

Acknowledged = asyncio.Future[None]


@dataclass(frozen=True, slots=True)
class _Order:
    """A command to send for one channel; its acknowledgement comes in the order of sending."""

    verb: str
    channel: str
    acknowledged: Acknowledged | None


class Subscriber:
    """Listens. After a lost connection everything is subscribed anew, and `on_reconnect` says that much was missed."""

    def __init__(
        self, url: str, on_message: Callable[[str, bytes], None], on_reconnect: Callable[[], None] = lambda: None
    ) -> None:
        """Both callbacks are called from the reading task and must not block."""
        self._url, self._on_message, self._on_reconnect = url, on_message, on_reconnect
        self._wanted: dict[str, Acknowledged] = {}
        self._orders: deque[_Order] = deque()
        self._sent: deque[_Order] = deque()
        self._ordered = asyncio.Event()
        self._last_heard = 0.0
        self._is_connected = False

    @property
    def is_connected(self) -> bool:
        return self._is_connected

    @property
    def channels(self) -> frozenset[str]:
        return frozenset(self._wanted)

    async def subscribe(self, channel: str, timeout_seconds: float = 1.0) -> bool:
        """Listen to a channel; tell whether Redis acknowledged that in time. If not, it still will be when it can."""
        acknowledged = self._wanted.get(channel)
        if acknowledged is None:
            acknowledged = self._wanted[channel] = asyncio.get_running_loop().create_future()
            self._order("SUBSCRIBE", channel, acknowledged)
        if not acknowledged.done():
            await asyncio.wait((acknowledged,), timeout=timeout_seconds if self._is_connected else 0.05)
        return acknowledged.done()

    def unsubscribe(self, channel: str) -> None:
        if self._wanted.pop(channel, None) is not None:
            self._order("UNSUBSCRIBE", channel, None)

    async def run(self) -> None:
        """Listen until cancelled."""
        pauses = Pauses()
        is_first = True
        while True:
            connection = new_connection(self._url)
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    await connection.connect()
                await self._resubscribe(connection)
                if not is_first:
                    self._on_reconnect()
                is_first = False
                pauses.reset()
                await self._listen(connection)
            except LOST as error:
                logger.warning("live wire lost, watchers read the log: %s", error)
            finally:
                self._is_connected = False
                await connection.disconnect(nowait=True)
            self._renew()
            await asyncio.sleep(pauses.next_seconds())

    def _order(self, verb: str, channel: str, acknowledged: Acknowledged | None) -> None:
        if self._is_connected:
            self._orders.append(_Order(verb, channel, acknowledged))
            self._ordered.set()

    def _renew(self) -> None:
        """Forget what the lost connection had acknowledged."""
        self._orders.clear()
        self._sent.clear()
        loop = asyncio.get_running_loop()
        for channel, acknowledged in self._wanted.items():
            if acknowledged.done():
                self._wanted[channel] = loop.create_future()

    async def _resubscribe(self, connection: Connection) -> None:
        """Subscribe to all wanted channels; return when Redis acknowledged each."""
        self._last_heard = asyncio.get_running_loop().time()
        self._orders.clear()
        self._sent.clear()
        self._is_connected = True
        self._orders.extend(_Order("SUBSCRIBE", channel, future) for channel, future in self._wanted.items())
        await self._send(connection)
        async with asyncio.timeout(_SILENCE_SECONDS):
            while self._sent:
                self._heard(await connection.read_response(timeout=math.inf))

    async def _listen(self, connection: Connection) -> None:
        lost: BaseException = TimeoutError()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(connection))
                group.create_task(self._write(connection))
                group.create_task(self._ping(connection))
        except* LOST as errors:
            lost = errors.exceptions[0]
        raise lost

    async def _read(self, connection: Connection) -> None:
        while True:
            self._heard(await connection.read_response(timeout=math.inf))

    async def _write(self, connection: Connection) -> None:
        while True:
            await self._ordered.wait()
            self._ordered.clear()
            await self._send(connection)

    async def _ping(self, connection: Connection) -> None:
        """Find out about a peer that fell silent without closing."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_PING_SECONDS)
            if loop.time() - self._last_heard > _SILENCE_SECONDS:
                raise TimeoutError("no answer to a ping")
            async with asyncio.timeout(_SILENCE_SECONDS):
                await connection.send_command("PING", check_health=False)

    async def _send(self, connection: Connection) -> None:
        while self._orders:
            first = self._orders.popleft()
            batch = [first]
            while self._orders and self._orders[0].verb == first.verb and len(batch) < _MAX_CHANNELS_PER_COMMAND:
                batch.append(self._orders.popleft())
            self._sent.extend(batch)
            async with asyncio.timeout(_SILENCE_SECONDS):
                await connection.send_command(first.verb, *(each.channel for each in batch), check_health=False)

    def _heard(self, answer: Any) -> None:
        self._last_heard = asyncio.get_running_loop().time()
        kind = answer[0] if isinstance(answer, list) else answer
        if kind == b"message":
            channel = answer[1].decode()
            if channel in self._wanted:
                self._on_message(channel, answer[2])
        elif kind in (b"subscribe", b"unsubscribe"):
            order = self._sent.popleft()
            if order.acknowledged is not None and not order.acknowledged.done():
                order.acknowledged.set_result(None)
