"""Every name that Weft uses in Redis. Nothing under them is durable: deleting all of it loses nothing."""

from typing import Final

DOORBELL: Final = "weft:doorbell"
# More rings than there can be runners waiting; the rest is found by their poll.
DOORBELL_LIMIT: Final = 1000
_EVENTS: Final = "weft:events:"
_CANCEL: Final = "weft:cancel:"


def events_channel(watched_id: str) -> str:
    """Return the channel of what happens in a run (serialized weft.runs.v1.LiveBatch) or a thread (empty frames)."""
    return _EVENTS + watched_id


def id_of_channel(channel: str) -> str:
    return channel.removeprefix(_EVENTS)


def cancel_channel(runner_id: str) -> str:
    """Return the channel on which a runner is told to stop a run: `RUN_ID EPOCH`."""
    return _CANCEL + runner_id
