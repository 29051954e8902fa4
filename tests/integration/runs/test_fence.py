"""A runner that was given up for dead writes on: the fence holds it off, and without the fence the oracle says so."""

from datetime import timedelta

import pytest
from oracle import assert_clean, check
from oracle.recordings import Recordings
from runs_world import World, answer, append_to, delta
from weft_threads.events import append
from weft_threads.runs.commit import Entry

FENCE = "WHERE r.epoch = b.epoch AND r.last_seq = b.expected AND r.state = 'running')"
SEQ_BY_WRITER = "SELECT b.* FROM batch b"
SEQ_BY_ROW = "SELECT b.tenant_id, b.run_id, b.epoch, r.last_seq AS expected, b.n, b.first FROM batch b"


async def kill_and_come_back(world: World) -> None:
    """One runner is stopped past its lease, another takes its run over and finishes it; the first writes all along."""
    await world.say("hi")
    zombie = await world.claim(await world.queue.register("stopped"))
    assert zombie is not None
    await world.commit(Entry(append_to(zombie, [delta(zombie, "a")])))
    await world.move_clock(timedelta(seconds=5))
    successor = await world.claim(await world.queue.register("alive"))
    assert successor is not None
    for text in ("b", "c"):
        await world.commit(Entry(append_to(zombie, [delta(zombie, text)], seq=zombie.last_seq + 1)))
    now = await world.run(successor.run["run_id"])
    await world.commit(answer(successor, seq=now["last_seq"]))


@pytest.mark.row("F2")
async def test_log_is_clean_when_a_runner_comes_back_from_the_dead(world: World) -> None:
    await kill_and_come_back(world)
    await assert_clean(world.dsn)


async def test_oracle_goes_red_when_the_epoch_is_not_compared(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert FENCE in append.APPEND
    assert SEQ_BY_WRITER in append.APPEND
    unfenced = append.APPEND.replace(FENCE, "WHERE r.state = 'running')").replace(SEQ_BY_WRITER, SEQ_BY_ROW)
    monkeypatch.setattr(append, "APPEND", unfenced)
    await kill_and_come_back(world)
    verdict = await check(world.dsn, Recordings(), all_ended=True)
    assert "I3 epochs never go down" in verdict.violations
