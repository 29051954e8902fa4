"""How late the event loop is, and what blocks it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from weft_telemetry import names
from weft_telemetry.metrics import recorder
from weft_telemetry.stalls import Stall, StallWatch

logger = logging.getLogger(__name__)

EVERY_SECONDS: Final = 0.5


async def record_loop_lag() -> None:
    """Look twice a second how late a timer of the running loop is, until cancelled."""
    record = recorder(names.LOOP_LAG)
    now = asyncio.get_running_loop().time
    while True:
        due = now() + EVERY_SECONDS
        await asyncio.sleep(EVERY_SECONDS)
        record(max(now() - due, 0.0))


def watch_stalls(limit_seconds: float) -> Callable[[], Awaitable[None]]:
    """Log and count what blocks the running loop for longer. Returns what ends that."""
    record = recorder(names.LOOP_STALLS)

    def tell(stall: Stall) -> None:
        record(1)
        logger.error("the event loop was blocked for %.0f ms:\n%s", stall.seconds * 1000, stall.stack)

    watch = StallWatch(limit_seconds, tell)
    watch.start()

    async def stop() -> None:
        watch.stop()

    return stop
