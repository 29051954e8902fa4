"""The run queue twice: the fake that runners are tested with, and threads on a real PostgreSQL."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from run_queue_worlds import FakeWorld, QueueWorld, ThreadsWorld
from weft_cli.stack import Stack


@pytest.fixture(scope="session")
def threads_stack() -> Iterator[Stack]:
    with Stack(members={"postgres", "redis", "threads"}, postgres_settings={"fsync": "off"}) as stack:
        yield stack


@pytest.fixture(params=["fake", "threads"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[QueueWorld]:
    opened = FakeWorld.open() if request.param == "fake" else _threads(request)
    async with opened as world:
        yield world


@asynccontextmanager
async def _threads(request: pytest.FixtureRequest) -> AsyncIterator[QueueWorld]:
    async with ThreadsWorld.open(request.getfixturevalue("threads_stack")) as world:
        yield world
