"""A short soak: the mix of runs that `make soak` repeats by the thousand, and its judgement."""

import random

import pytest
from soak.census import MIB, growth
from soak.drive import Soak
from weft_cli.stack import Stack


@pytest.mark.row("E12")
@pytest.mark.timeout(240)
async def test_a_mix_of_runs_ends_as_it_should_and_leaves_nothing_behind() -> None:
    async with Stack(env={"*": {"WEFT_STRICT_REASONS": "1"}}) as stack:
        assert await Soak(stack, random.Random(1), runs=200, at_once=50).go() == []


def test_memory_that_grows_is_told() -> None:
    samples = [{"threads": 100 * MIB + n * MIB, "gateway": 80 * MIB + n % 3} for n in range(100)]
    assert [told.partition(":")[0] for told in growth(samples)] == ["threads"]
