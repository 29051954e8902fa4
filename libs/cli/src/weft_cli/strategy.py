"""What to do with a message when the thread is busy, as options name it."""

from enum import StrEnum


class Strategy(StrEnum):
    """What to do with a message when the thread is busy."""

    ENQUEUE = "enqueue"
    MERGE = "merge"
    REJECT = "reject"
