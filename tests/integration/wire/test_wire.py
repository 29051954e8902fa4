"""The wire over a real Redis: it wakes and tells, and never blocks or fails when Redis is away."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis
from weft_testkit.redis_server import RedisServer
from weft_wire.cancel_signals import CancelSignal, CancelSignals
from weft_wire.doorbell import Doorbell
from weft_wire.live import LiveEvents
from weft_wire.names import cancel_channel
from weft_wire.outlet import RedisOutlet


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait((task,))


class Heard:
    """What a listener got, as it came."""

    def __init__(self) -> None:
        self.frames: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self.reconnected = asyncio.Event()

    def live(self, url: str) -> LiveEvents:
        return LiveEvents(url, lambda run, frame: self.frames.put_nowait((run, frame)), self.reconnected.set)

    async def next(self) -> tuple[str, bytes]:
        async with asyncio.timeout(3):
            return await self.frames.get()


async def test_a_ring_wakes_one_waiter_at_once(redis: RedisServer) -> None:
    outlet, bells = RedisOutlet(redis.url), [Doorbell(redis.url) for _ in range(3)]
    async with running(outlet.run()):
        waits = [asyncio.create_task(bell.wait(1.0)) for bell in bells]
        await asyncio.sleep(0.1)
        outlet.ring()
        done, _ = await asyncio.wait(waits, timeout=0.5, return_when=asyncio.FIRST_COMPLETED)
        assert [task.result() for task in done] == [True]
        assert sorted(await asyncio.gather(*waits)) == [False, False, True]
        outlet.ring(2)
        assert [await bell.wait(1.0) for bell in bells[:2]] == [True, True]
    for bell in bells:
        await bell.close()


async def test_a_bell_waits_no_longer_than_asked_when_redis_is_frozen(redis: RedisServer) -> None:
    bell = Doorbell(redis.url)
    assert not await bell.wait(0.05)
    redis.freeze()
    try:
        async with asyncio.timeout(2):
            assert not await bell.wait(0.2)
            assert not await bell.wait(0.2)
    finally:
        redis.thaw()
    await bell.close()


async def test_a_bell_rings_again_after_redis_was_restarted(redis: RedisServer) -> None:
    outlet, bell = RedisOutlet(redis.url), Doorbell(redis.url)
    async with running(outlet.run()):
        outlet.ring()
        assert await bell.wait(1)
        await redis.kill()
        async with asyncio.timeout(2):
            assert not await bell.wait(0.2)
        outlet.ring()
        await redis.start()
        async with asyncio.timeout(10):
            while not await bell.wait(0.5):
                pass
    await bell.close()


async def test_a_cancelled_wait_does_not_answer_the_next_one(redis: RedisServer) -> None:
    outlet, bell = RedisOutlet(redis.url), Doorbell(redis.url)
    async with running(outlet.run()):
        wait = asyncio.create_task(bell.wait(5))
        await asyncio.sleep(0.1)
        wait.cancel()
        await asyncio.wait((wait,))
        assert not await bell.wait(0.1)
        outlet.ring()
        assert await bell.wait(1)
    await bell.close()


async def test_what_is_published_after_the_acknowledgement_is_heard(redis: RedisServer) -> None:
    outlet, heard = RedisOutlet(redis.url), Heard()
    live = heard.live(redis.url)
    async with running(outlet.run()), running(live.run()):
        await asyncio.sleep(0.05)
        for number in range(50):
            run = f"run_{number}"
            assert await live.subscribe(run)
            outlet.publish(run, b"\x00frame\xff")
            assert await heard.next() == (run, b"\x00frame\xff")


async def test_a_run_subscribed_again_at_once_is_heard(redis: RedisServer) -> None:
    outlet, heard = RedisOutlet(redis.url), Heard()
    live = heard.live(redis.url)
    async with running(outlet.run()), running(live.run()):
        await asyncio.sleep(0.05)
        for number in range(20):
            assert await live.subscribe("run_x")
            live.unsubscribe("run_x")
            assert await live.subscribe("run_x")
            outlet.publish("run_x", str(number).encode())
            assert await heard.next() == ("run_x", str(number).encode())
            live.unsubscribe("run_x")


async def test_nothing_is_heard_of_a_run_after_it_was_unsubscribed(redis: RedisServer) -> None:
    outlet, heard = RedisOutlet(redis.url), Heard()
    live = heard.live(redis.url)
    async with running(outlet.run()), running(live.run()):
        await asyncio.sleep(0.05)
        assert await live.subscribe("run_a")
        assert await live.subscribe("run_b")
        live.unsubscribe("run_a")
        outlet.publish("run_a", b"1")
        outlet.publish("run_b", b"2")
        assert await heard.next() == ("run_b", b"2")


async def test_everything_is_subscribed_anew_when_redis_was_restarted(redis: RedisServer) -> None:
    outlet, heard = RedisOutlet(redis.url), Heard()
    live = heard.live(redis.url)
    async with running(outlet.run()), running(live.run()):
        await asyncio.sleep(0.05)
        assert await live.subscribe("run_a")
        assert not heard.reconnected.is_set()
        await redis.kill()
        assert not await live.subscribe("run_b")
        await redis.start()
        async with asyncio.timeout(5):
            await heard.reconnected.wait()
        assert await live.subscribe("run_b")
        async with asyncio.timeout(5):
            while True:
                outlet.publish("run_a", b"1")
                outlet.publish("run_b", b"2")
                await asyncio.sleep(0.05)
                if heard.frames.qsize() >= 2:
                    break
        assert {await heard.next(), await heard.next()} == {("run_a", b"1"), ("run_b", b"2")}


async def test_subscribing_is_bounded_when_redis_is_frozen(redis: RedisServer) -> None:
    heard = Heard()
    live = heard.live(redis.url)
    async with running(live.run()):
        await asyncio.sleep(0.05)
        assert await live.subscribe("run_a")
        redis.freeze()
        try:
            async with asyncio.timeout(1.5):
                assert not await live.subscribe("run_b")
        finally:
            redis.thaw()
        assert await live.subscribe("run_b")


async def test_saying_never_blocks_and_drops_when_redis_is_away(redis: RedisServer) -> None:
    outlet = RedisOutlet(redis.url)
    redis.freeze()
    try:
        async with running(outlet.run()):
            began = asyncio.get_running_loop().time()
            for _ in range(20_000):
                outlet.publish("run_a", b"x" * 100)
                outlet.ring()
            assert asyncio.get_running_loop().time() - began < 1
            assert outlet.dropped >= 10_000
            await asyncio.sleep(0.1)
    finally:
        redis.thaw()


async def test_a_signal_reaches_its_runner_only(redis: RedisServer) -> None:
    outlet, signals = RedisOutlet(redis.url), CancelSignals(redis.url)
    async with running(outlet.run()), aclosing(signals.follow("rnr_1")) as followed:
        first = asyncio.ensure_future(anext(followed))
        await asyncio.sleep(0.2)
        outlet.signal("rnr_2", "run_other", 1)
        outlet.signal("rnr_1", "run_a", 3)
        async with asyncio.timeout(2):
            assert await first == CancelSignal("run_a", 3)


async def test_what_is_no_signal_is_passed_over(redis: RedisServer) -> None:
    async with Redis.from_url(redis.url) as client, aclosing(CancelSignals(redis.url).follow("rnr_1")) as followed:
        first = asyncio.ensure_future(anext(followed))
        async with asyncio.timeout(5):
            while not await client.publish(cancel_channel("rnr_1"), "nothing"):  # noqa: ASYNC110 - until somebody hears it
                await asyncio.sleep(0.02)
            for odd in (b"run_a \xc2\xb2", b"run_a -1", b"run_a " + b"9" * 5000, b"\xff 1", b"", b"run_a 3"):
                await client.publish(cancel_channel("rnr_1"), odd)
            signals = [await first]
            while signals[-1].run_id != "run_a":
                signals.append(await anext(followed))
    assert signals[-1] == CancelSignal("run_a", 3)


async def test_who_follows_is_told_when_listening_cannot_go_on() -> None:
    async with aclosing(CancelSignals("nonsense://somewhere").follow("rnr_1")) as followed, asyncio.timeout(5):
        with pytest.raises(ValueError, match="scheme"):
            await anext(followed)
