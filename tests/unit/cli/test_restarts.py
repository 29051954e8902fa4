from weft_cli.supervisor.restarts import MOST_CRASHES, STEADY_SECONDS, Restarts


def restarts() -> Restarts:
    made = Restarts()
    made.is_on = True
    return made


def test_the_wait_doubles_with_each_crash() -> None:
    it = restarts()
    assert [it.delay_after("tools", 1) for _ in range(4)] == [0.2, 0.4, 0.8, 1.6]


def test_a_program_that_crashes_too_often_is_given_up() -> None:
    it = restarts()
    delays = [it.delay_after("tools", 1) for _ in range(MOST_CRASHES + 1)]
    assert delays[-2] is not None
    assert delays[-1] is None


def test_crashes_are_forgotten_once_it_ran_steadily() -> None:
    it = restarts()
    for _ in range(MOST_CRASHES):
        it.delay_after("tools", 1)
    assert it.delay_after("tools", STEADY_SECONDS) == 0.2


def test_programs_are_counted_apart() -> None:
    it = restarts()
    it.delay_after("tools", 1)
    assert it.delay_after("threads", 1) == 0.2


def test_nothing_restarts_before_it_is_allowed() -> None:
    assert Restarts().delay_after("tools", 1) is None


def test_a_planned_restart_is_off_when_somebody_stopped_the_program() -> None:
    it = restarts()
    generation = it.schedule("tools")
    assert it.is_due("tools", generation)
    it.forget("tools")
    assert not it.is_due("tools", generation)
