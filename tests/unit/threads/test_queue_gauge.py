"""The gauge of the queue: what fails it is told, and harms nothing else."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from weft_threads.runs import telemetry


class _Queue:
    """A database that fails in a way of which nobody has thought, then works, then is left."""

    def __init__(self) -> None:
        self.looks = 0

    async def call_queue(self, _: Any) -> dict[str, Any]:
        self.looks += 1
        if self.looks == 1:
            raise RuntimeError("no such function")
        if self.looks == 3:
            raise asyncio.CancelledError
        return {"ready": 3, "oldest": timedelta(seconds=2)}


async def test_gauge_outlives_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "LOOK_SECONDS", 0.0)
    gauge = telemetry.QueueGauge(_Queue())  # type: ignore[arg-type]
    with pytest.raises(asyncio.CancelledError):
        await gauge.run()
    assert (gauge.ready, gauge.oldest_seconds) == (3, 2.0)
