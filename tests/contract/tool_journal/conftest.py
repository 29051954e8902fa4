"""Every test runs on the journal in memory and on the one of threads, on PostgreSQL."""

from collections.abc import AsyncIterator, Iterator

import pytest
from contract.tool_journal.worlds import JournalWorld, world_in_memory, world_on_postgres
from runs_world import superuser_url
from weft_cli.stack import Stack
from weft_testkit.fake_threads import fake_threads

KEY = b"k" * 32


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    env = {"threads": {"WEFT_STRICT_REASONS": "true"}}
    with Stack(members={"postgres", "redis", "threads"}, postgres_settings={"fsync": "off"}, env=env) as stack:
        yield stack


@pytest.fixture(params=["memory", "postgres"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[JournalWorld]:
    if request.param == "memory":
        async with fake_threads(KEY) as threads, world_in_memory(threads, KEY) as in_memory:
            yield in_memory
    else:
        stack: Stack = request.getfixturevalue("stack")
        key = bytes.fromhex(stack.token_key)
        async with world_on_postgres(stack.address("threads"), superuser_url(stack), key) as on_postgres:
            yield on_postgres
