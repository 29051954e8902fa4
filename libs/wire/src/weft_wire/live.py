"""What happens in runs and threads, as a gateway hears it."""

from collections.abc import Callable

from weft_wire import names
from weft_wire.subscriber import Subscriber


class LiveEvents:
    """Listens to runs and threads. `on_frame` gets the id, and of a run a serialized LiveBatch, of a thread nothing."""

    def __init__(
        self, url: str, on_frame: Callable[[str, bytes], None], on_reconnect: Callable[[], None] = lambda: None
    ) -> None:
        self._subscriber = Subscriber(
            url, lambda channel, frame: on_frame(names.id_of_channel(channel), frame), on_reconnect
        )

    @property
    def is_connected(self) -> bool:
        """Tell whether Redis was there a moment ago. If not, only the log tells what happens."""
        return self._subscriber.is_connected

    async def subscribe(self, watched_id: str) -> bool:
        """Listen to a run or a thread; tell whether Redis acknowledged that within a second."""
        return await self._subscriber.subscribe(names.events_channel(watched_id))

    def unsubscribe(self, watched_id: str) -> None:
        self._subscriber.unsubscribe(names.events_channel(watched_id))

    async def run(self) -> None:
        """Listen until cancelled."""
        await self._subscriber.run()
