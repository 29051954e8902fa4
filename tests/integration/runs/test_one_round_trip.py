"""Before an answer, and from bell to model call: one round trip to PostgreSQL, one commit."""

from typing import Any

import pytest
from runs_world import World
from weft_threads.attachments.attachment import NewFile


async def statements_of(world: World, kind: str, work: Any) -> list[str]:
    """Return what a piece of work sends, with a warm connection. `kind`: call (application) or call_queue."""
    sent: list[str] = []
    taken: Any = getattr(world.database, kind)

    def remember(record: Any) -> None:
        sent.append(record.query)

    async def listen(connection: Any) -> None:
        connection.add_query_logger(remember)

    async def stop_listening(connection: Any) -> None:
        connection.remove_query_logger(remember)

    await taken(listen)
    try:
        await work()
    finally:
        await taken(stop_listening)
    return sent


@pytest.mark.row("A2", "A1")
async def test_initiate_is_one_statement_whatever_it_checks(world: World) -> None:
    await world.say("warm the connection up")
    first = await statements_of(world, "call", lambda: world.say("new thread", request_id="r"))
    assert len(first) == 1, first
    thread = (await world.say("busy thread")).thread_id
    merged = await statements_of(world, "call", lambda: world.say("merged", thread, "merge"))
    assert len(merged) == 1, merged
    file = NewFile("a.txt", "text/plain", b"words", bytes(32))
    attached = await statements_of(world, "call", lambda: world.say("with a file", files=(file,)))
    assert len(attached) == 1, attached


async def test_claim_is_one_statement_with_lease_context_and_first_step(world: World) -> None:
    runner = await world.queue.register("r")
    for number in range(2):
        await world.say(f"run {number}")
    assert await world.claim(runner), "the connection is warm"
    claim = await statements_of(world, "call_queue", lambda: world.claim(runner))
    assert len(claim) == 1, claim
