"""What is counted of watches."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from integration.gateway.streams import read, read_all
from weft_telemetry import names
from weft_testkit.recorded_telemetry import Recorded, recorded_telemetry

TENANT = UUID(int=1)


@pytest.fixture
def telemetry() -> Iterator[Recorded]:
    """Asked for before `edge`: what is made afterwards is watched."""
    with recorded_telemetry() as recorded:
        yield recorded


async def test_open_watches_and_returns_to_the_log_are_counted(telemetry: Recorded, edge: Any) -> None:
    run = edge.threads.add_run(TENANT, 1)
    edge.threads.append(run)
    call = edge.watch(run)
    assert await read(call, 1) == [1]
    assert [point.value for point in telemetry.points(names.LIVE_WATCHES)] == [1]
    edge.threads.append(run, 3, is_published=False)
    edge.threads.append(run, is_terminal=True)
    assert await read_all(call, seconds=2) == [2, 3, 4, 5]
    refills = {point.attributes[names.CAUSE]: point.value for point in telemetry.points(names.LIVE_REFILLS)}
    assert refills == {"gap": 1}
    assert [point.value for point in telemetry.points(names.LIVE_WATCHED)] == [0]
