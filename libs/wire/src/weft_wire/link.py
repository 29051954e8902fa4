"""One connection to Redis whose every use is bounded, and the pauses between attempts to get another."""

import random
from typing import Any, Final, TypeAlias

from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

# redis.asyncio.connection.AbstractConnection; half of its methods have no types.
Connection: TypeAlias = Any

CONNECT_SECONDS: Final = 1.0
ANSWER_SECONDS: Final = 1.0
_FIRST_PAUSE_SECONDS: Final = 0.05
_LONGEST_PAUSE_SECONDS: Final = 1.0

# What a Redis that is absent, slow or restarting makes of a call.
LOST: Final = (RedisError, OSError, TimeoutError)


def new_connection(url: str) -> Connection:
    """Return a connection that is not open yet. Nothing retries behind our back: each user has its own slower way.

    It has no timeout of its own but for connecting: redis-py puts `asyncio.wait_for` around each write for that, which
    in Python 3.11 swallows a cancellation that comes as the write is done. Users put `asyncio.timeout` around.
    """
    pool: Any = ConnectionPool.from_url(
        url,
        protocol=2,
        socket_timeout=None,
        socket_connect_timeout=CONNECT_SECONDS,
        retry=Retry(NoBackoff(), 0),
        driver_info=None,
    )
    return pool.make_connection()


class Pauses:
    """Growing, jittered pauses, so that after a restart not everybody comes back at once."""

    def __init__(self) -> None:
        self._next = _FIRST_PAUSE_SECONDS

    def next_seconds(self) -> float:
        pause = self._next
        self._next = min(self._next * 2, _LONGEST_PAUSE_SECONDS)
        return pause * random.uniform(0.5, 1.0)

    def reset(self) -> None:
        self._next = _FIRST_PAUSE_SECONDS
