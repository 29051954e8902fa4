import asyncio

from weft_threads.runs.held_claims import HeldClaims


class CountingBell:
    def __init__(self) -> None:
        self.rings = 0

    def ring(self, count: int = 1) -> None:
        self.rings += count


async def _waiting(held: HeldClaims, count: int) -> list["asyncio.Task[bool]"]:
    tasks = [asyncio.create_task(held.wait(60)) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_ring_wakes_who_waits_and_what_is_left_goes_on() -> None:
    bell = CountingBell()
    held = HeldClaims(bell)
    tasks = await _waiting(held, 2)
    held.ring(5)
    assert await asyncio.gather(*tasks) == [True, True]
    assert bell.rings == 3


async def test_ring_goes_on_when_who_was_woken_is_cancelled_before_it_knows() -> None:
    bell = CountingBell()
    held = HeldClaims(bell)
    (task,) = await _waiting(held, 1)
    held.ring()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert bell.rings == 1


async def test_wait_ends_without_a_ring_when_its_time_is_over_or_the_process_stops() -> None:
    bell = CountingBell()
    held = HeldClaims(bell)
    assert not await held.wait(0.001)
    (task,) = await _waiting(held, 1)
    await held.close()
    assert not await task
    assert not await held.wait(60)
    held.ring()
    assert bell.rings == 1


async def test_who_gave_up_is_not_woken_in_place_of_another() -> None:
    bell = CountingBell()
    held = HeldClaims(bell)
    first, second = await _waiting(held, 2)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    held.ring()
    assert await second
    assert bell.rings == 0
