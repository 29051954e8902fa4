"""How late the event loop is."""

import asyncio
from typing import Final

from weft_telemetry import names
from weft_telemetry.metrics import recorder

EVERY_SECONDS: Final = 0.5


async def record_loop_lag() -> None:
    """Look twice a second how late a timer of the running loop is, until cancelled."""
    record = recorder(names.LOOP_LAG)
    now = asyncio.get_running_loop().time
    while True:
        due = now() + EVERY_SECONDS
        await asyncio.sleep(EVERY_SECONDS)
        record(max(now() - due, 0.0))
