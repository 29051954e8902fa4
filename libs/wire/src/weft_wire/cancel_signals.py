"""Runs that a runner is told to stop. A lost signal comes again with the answers to Commit and Heartbeat."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from weft_wire import names
from weft_wire.subscriber import Subscriber

_MAX_WAITING = 10_000


@dataclass(frozen=True, slots=True)
class CancelSignal:
    run_id: str
    epoch: int


class CancelSignals:
    def __init__(self, url: str) -> None:
        self._url = url

    async def follow(self, runner_id: str) -> AsyncGenerator[CancelSignal, None]:
        """Yield signals as they come, until closed."""
        signals: asyncio.Queue[CancelSignal] = asyncio.Queue(_MAX_WAITING)

        def on_message(channel: str, data: bytes) -> None:
            signal = _parsed(data)
            if signal is not None and not signals.full():
                signals.put_nowait(signal)

        subscriber = Subscriber(self._url, on_message)
        listening = asyncio.create_task(subscriber.run(), name=f"cancel signals of {runner_id}")
        try:
            await subscriber.subscribe(names.cancel_channel(runner_id))
            while True:
                yield await signals.get()
        finally:
            listening.cancel()
            await asyncio.wait((listening,))


def _parsed(data: bytes) -> CancelSignal | None:
    run_id, _, epoch = data.decode("utf-8", "replace").partition(" ")
    return CancelSignal(run_id, int(epoch)) if run_id and epoch.isdigit() else None
