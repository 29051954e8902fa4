"""Look-ups by the system: what is slow holds up nobody."""

import asyncio
import threading
from collections.abc import Sequence

import pytest
from weft_egress.connector import guarded_connector
from weft_egress.policy import EgressPolicy
from weft_egress.resolver import SystemResolver


async def test_the_system_is_asked() -> None:
    assert set(await SystemResolver()("localhost")) & {"127.0.0.1", "::1"}
    with pytest.raises(OSError):  # noqa: PT011 (which error is the system's)
        await SystemResolver()("no-such-name.invalid.")


async def test_a_look_up_that_hangs_keeps_its_place_until_it_ends_and_no_other() -> None:
    gate, asked = threading.Event(), list[str]()

    def look_up(name: str) -> Sequence[str]:
        asked.append(name)
        if name == "slow":
            gate.wait(10)
        return [name]

    resolve = SystemResolver(2, look_up)
    slow = asyncio.create_task(resolve("slow"))
    assert await resolve("quick") == ["quick"]
    slow.cancel()
    await asyncio.wait({slow})
    assert await resolve("quick") == ["quick"], "one place is left"
    second = asyncio.create_task(resolve("slow"))
    waiting = asyncio.create_task(resolve("quick"))
    for _ in range(10):
        await asyncio.sleep(0)
    assert asked.count("quick") == 2, "both places are taken, one by whom nobody waits for"
    gate.set()
    assert (await second, await waiting) == (["slow"], ["quick"])


async def test_what_a_look_up_raises_is_raised() -> None:
    def look_up(name: str) -> Sequence[str]:
        raise UnicodeError(name)

    with pytest.raises(UnicodeError):
        await SystemResolver(1, look_up)("x")
    with pytest.raises(UnicodeError):
        await SystemResolver(1, look_up)("x")


async def test_a_connector_asks_the_system_by_itself() -> None:
    connector = guarded_connector(EgressPolicy())
    await connector.close()
