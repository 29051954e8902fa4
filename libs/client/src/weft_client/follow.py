"""Streams one after another until what is watched has ended, for synchronous code."""

import time
from collections.abc import Callable, Generator
from typing import Any

from weft_client.channel import TermsChannel
from weft_client.errors import WeftError
from weft_client.resume import LAST_SECONDS, Item, Resumable
from weft_client.silence import SilenceGuard


def follow(
    watch: Resumable[Item], open_call: Callable[[float | None], Any], channel: TermsChannel, silence_seconds: float
) -> Generator[Item, None, None]:
    """Yield what is watched. `open_call` opens a stream at the watch's place, for so many seconds at most."""
    while not watch.is_ended:
        call = open_call(watch.seconds_left(time.monotonic()))
        try:
            yield from _admitted(call, watch, silence_seconds)
            delay = watch.ended(time.monotonic())
        except WeftError as error:
            delay = watch.broken(error, time.monotonic())
        finally:
            call.cancel()  # nobody else does: an abandoned stream would go on at the server
        if not watch.is_ended:
            channel.pause(delay)


def _admitted(call: Any, watch: Resumable[Item], silence_seconds: float) -> Generator[Item, None, None]:
    with SilenceGuard(call, silence_seconds) as guard:
        for response in guard.responses():
            yield from watch.admit(response)
            if watch.is_ended:
                guard.limit(LAST_SECONDS)
