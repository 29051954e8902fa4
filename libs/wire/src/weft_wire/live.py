"""The live events of runs, as a gateway hears them."""

from collections.abc import Callable

from weft_wire import names
from weft_wire.subscriber import Subscriber


class LiveEvents:
    """Listens to runs. `on_frame` gets a run's id and a serialized LiveBatch."""

    def __init__(
        self, url: str, on_frame: Callable[[str, bytes], None], on_reconnect: Callable[[], None] = lambda: None
    ) -> None:
        self._subscriber = Subscriber(
            url, lambda channel, frame: on_frame(names.run_of_channel(channel), frame), on_reconnect
        )

    @property
    def is_connected(self) -> bool:
        """Tell whether Redis was there a moment ago. If not, only the log tells what happens."""
        return self._subscriber.is_connected

    async def subscribe(self, run_id: str) -> bool:
        """Listen to a run; tell whether Redis acknowledged that within a second."""
        return await self._subscriber.subscribe(names.events_channel(run_id))

    def unsubscribe(self, run_id: str) -> None:
        self._subscriber.unsubscribe(names.events_channel(run_id))

    async def run(self) -> None:
        """Listen until cancelled."""
        await self._subscriber.run()
