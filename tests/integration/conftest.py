"""Services in the test's own process block its event loop no more than those with one of their own (row C1)."""

import inspect
from collections.abc import AsyncIterator

import pytest
from stalls import LIMIT_SECONDS, is_of_services
from weft_telemetry.stalls import Stall, StallWatch


@pytest.fixture(autouse=True)
def no_stalls(request: pytest.FixtureRequest) -> None:
    if inspect.iscoroutinefunction(getattr(request, "function", None)):
        request.getfixturevalue("stall_watch")


def _is_told(stack: str) -> bool:
    """A collection takes as long as what thousands of tests have left in this process: services hold no such thing."""
    return is_of_services(stack) and "in gc_callback" not in stack


@pytest.fixture
async def stall_watch() -> AsyncIterator[None]:
    stalls: list[Stall] = []
    watch = StallWatch(LIMIT_SECONDS, stalls.append)
    watch.start()
    yield
    watch.stop()
    found = [f"{stall.seconds * 1000:.0f} ms:\n{stall.stack}" for stall in stalls if _is_told(stall.stack)]
    assert not found, f"{len(found)} blocks of the event loop:\n" + "\n\n".join(found[:5])
