"""merge × finish × claim, in every order, by seed: whatever comes first, the oracle finds nothing."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import permutations
from uuid import UUID

import pytest
from oracle import assert_clean
from runs_world import World, answer
from weft_threads.runs.queue import Claimed

ROUNDS = 1500  # at most
AT_LEAST = 50
PERMUTATIONS = list(permutations(("merge", "finish", "claim")))


@pytest.mark.row("D3")
@pytest.mark.timeout(240)
async def test_merge_finish_and_claim_leave_a_clean_log_in_each_order(world: World) -> None:
    rng = random.Random(20261121)
    runners = [await world.queue.register(f"r{n}") for n in range(2)]
    seen: Counter[tuple[str, ...]] = Counter()
    merged: Counter[bool] = Counter()
    for _ in range(ROUNDS):
        wanted = min(PERMUTATIONS, key=lambda order: seen[order])
        if seen[wanted] >= AT_LEAST:
            break
        for runner in runners:
            await world.queue.heartbeat(runner)
        order, is_merged = await _race(world, runners, rng, wanted)
        seen[order] += 1
        merged[is_merged] += 1
    assert all(seen[order] >= AT_LEAST for order in PERMUTATIONS), seen
    assert merged[True] >= AT_LEAST
    assert merged[False] >= AT_LEAST
    await assert_clean(world.dsn)


async def _race(
    world: World, runners: list[UUID], rng: random.Random, wanted: tuple[str, ...]
) -> tuple[tuple[str, ...], bool]:
    """Let the three run into each other, begun in the wanted order; return the order in which they were done."""
    first = await world.say("first")
    running = await world.claim(runners[0])
    assert running is not None
    done: list[str] = []
    claimed: list[Claimed] = []
    pauses = {name: place * rng.choice((0.0, 0.002, 0.008)) for place, name in enumerate(wanted)}

    async def timed(name: str, work: Callable[[], Awaitable[object]]) -> object:
        await asyncio.sleep(pauses[name])
        result = await work()
        done.append(name)
        return result

    async def claim() -> None:
        if (found := await world.claim(runners[1])) is not None:
            claimed.append(found)

    second, finished, _ = await asyncio.gather(
        timed("merge", lambda: world.say("second", first.thread_id, "merge")),
        timed("finish", lambda: world.commit(answer(running))),
        timed("claim", claim),
    )
    is_merged = bool(getattr(second, "is_merged"))  # noqa: B009
    state = getattr(finished, "state")  # noqa: B009
    assert state == ("superseded" if is_merged else "succeeded")
    successor = claimed[0] if claimed else await world.claim(runners[1])
    assert successor is not None
    texts = [part.text for m in successor.transcript.messages for part in m.parts if hasattr(part, "text")]
    assert texts == (["first\n---\nsecond"] if is_merged else ["first", "answer", "second"])
    assert (await world.commit(answer(successor))).state == "succeeded"
    return tuple(done), is_merged
