"""Tools that keep state: what each call of one is sent."""

import asyncio

import pytest
from runner_world import World
from weft.runner.v1 import agent_runner_service_pb2 as runner_pb
from weft.runs.v1 import run_pb2


@pytest.mark.row("C3")
async def test_each_call_is_sent_what_the_one_before_made_in_a_turn_and_across_turns(world: World) -> None:
    world.agent("scripted:tools=2,tool=list,calls=3", "list", "echo")
    async with world.runner():
        run = await world.ended(world.queue.add_run("go"))
    assert world.tools.places() == [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)]
    whole = "(1,0)(1,1)(1,2)(2,0)(2,1)(2,2)"
    assert world.tools.states() == [whole[: 5 * made] for made in range(6)]
    assert run.state == run_pb2.RUN_STATE_SUCCEEDED


async def test_calls_of_one_turn_are_made_one_after_another(world: World) -> None:
    world.agent("scripted:tools=1,tool=list,calls=2", "list")
    world.tools.gates["list"] = asyncio.Event()
    async with world.runner():
        run = world.queue.add_run("go")
        await world.shows(run, "tool_progress")
        assert world.tools.places() == [(1, 0)], "the second has not been sent while the first goes on"
        world.tools.gates["list"].set()
        await world.ended(run)
    assert world.tools.places() == [(1, 0), (1, 1)]


async def test_a_call_that_fails_leaves_the_state_as_it_was(world: World) -> None:
    world.agent("scripted:tools=2,tool=list,calls=2", "list")
    world.tools.failing = {(1, 1), (2, 0)}
    async with world.runner():
        await world.ended(world.queue.add_run("go"))
    assert world.tools.states() == ["", "(1,0)", "(1,0)", "(1,0)"]


async def test_other_tools_are_sent_no_state(world: World) -> None:
    world.agent("scripted:tools=2,tool=echo,calls=2", "echo")
    async with world.runner():
        await world.ended(world.queue.add_run("go"))
    assert world.tools.states() == [""] * 4


@pytest.mark.parametrize("inline_context_bytes", [1024 * 1024, 0])
@pytest.mark.parametrize(("held", "completed"), [((1, 0), 0), ((1, 1), 1), ((2, 1), 3)])
async def test_after_a_takeover_the_state_comes_from_the_context(
    world: World, held: tuple[int, int], completed: int, inline_context_bytes: int
) -> None:
    world.queue.inline_context_bytes = inline_context_bytes
    world.agent("scripted:tools=2,tool=list,calls=2", "list")
    async with world.runner() as first, first.stub() as stub:
        world.tools.gates_at[held] = asyncio.Event()
        run = world.queue.add_run("go")
        await world.queue.until(lambda: held in world.tools.places())
        await world.queue.until(lambda: run.kinds().count("tool_completed") == completed)
        await stub.Drain(runner_pb.DrainRequest())
    world.tools.gates_at[held].set()
    async with world.runner():
        await world.ended(run)
    sent = {(request.run_place.step, request.run_place.index): request.state for request in world.tools.executed}
    assert sent == {(1, 0): "", (1, 1): "(1,0)", (2, 0): "(1,0)(1,1)", (2, 1): "(1,0)(1,1)(2,0)"}
    assert world.tools.places().count(held) == 2
    assert run.epoch == 2
