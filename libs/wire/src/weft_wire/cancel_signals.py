"""Runs that a runner is told to stop. A lost signal comes again with the answers to Commit and Heartbeat."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from weft_wire import names
from weft_wire.subscriber import Subscriber

_MAX_WAITING = 10_000
_MAX_DIGITS = 20


@dataclass(frozen=True, slots=True)
class CancelSignal:
    run_id: str
    epoch: int


class CancelSignals:
    def __init__(self, url: str) -> None:
        self._url = url

    async def follow(self, runner_id: str) -> AsyncGenerator[CancelSignal, None]:
        """Yield signals as they come, until closed. Raises what listening failed with, were it ever to."""
        signals: asyncio.Queue[CancelSignal | None] = asyncio.Queue()

        def on_message(channel: str, data: bytes) -> None:
            signal = _parsed(data)
            if signal is not None and signals.qsize() < _MAX_WAITING:
                signals.put_nowait(signal)

        subscriber = Subscriber(self._url, on_message)
        listening = asyncio.create_task(subscriber.run(), name=f"cancel signals of {runner_id}")
        listening.add_done_callback(lambda _: signals.put_nowait(None))
        try:
            await subscriber.subscribe(names.cancel_channel(runner_id))
            while (signal := await signals.get()) is not None:
                yield signal
            listening.result()
        finally:
            listening.cancel()
            await asyncio.wait((listening,))


def _parsed(data: bytes) -> CancelSignal | None:
    run_id, _, epoch = data.decode("utf-8", "replace").partition(" ")
    is_number = epoch.isascii() and epoch.isdigit() and len(epoch) < _MAX_DIGITS
    return CancelSignal(run_id, int(epoch)) if run_id and is_number else None
