"""The lease of a call that is under way, whatever its renewals meet."""

import asyncio
from collections.abc import Iterator
from typing import Any, NoReturn

from weft_core.errors import UnavailableError
from weft_tools.domain.attempt import Attempt
from weft_tools.domain.journal import Begun, Call, ExecutionLostError
from weft_tools.domain.limits import Limits
from weft_tools.domain.outcome import Completed, FailureReason, Outcome
from weft_tools.domain.tool import Arguments, Tool, ToolContext

LIMITS = Limits(lease=0.4, renew_interval=0.02, cancel_grace=0.2)
AWAY = UnavailableError("DATABASE_UNAVAILABLE", "away")


class OddJournal:
    """Renewals and finishes fail with these errors, one after the other, and are taken after that."""

    def __init__(self) -> None:
        self.renewing: Iterator[Exception] = iter(())
        self.finishing: Iterator[Exception] = iter(())
        self.renewed = asyncio.Event()
        self.renewals_before_the_end = 0
        self.outcome: Outcome | None = None

    async def begin(self, call: Call, digest: bytes, *, is_idempotent: bool, lease_seconds: float) -> Begun:
        raise NotImplementedError

    async def record_denied(self, call: Call, digest: bytes, reason: FailureReason) -> None:
        raise NotImplementedError

    async def renew(self, execution_id: str, attempt: int, lease_seconds: float) -> None:
        for error in self.renewing:
            raise error
        self.renewals_before_the_end += 1
        self.renewed.set()

    async def finish(self, execution_id: str, attempt: int, outcome: Outcome) -> None:
        for error in self.finishing:
            self.renewed.clear()
            await self.renewed.wait()
            raise error
        self.outcome = outcome


def unused(*_: object) -> NoReturn:
    raise NotImplementedError


def an_attempt(journal: OddJournal, tool: Tool) -> Attempt:
    nothing: Any = None
    context = ToolContext("tlx_1", 1, "prj_1", "agt_1", "", "", nothing, nothing, nothing, unused)
    return Attempt(tool, journal, context, LIMITS)


async def test_no_failed_renewal_is_the_last() -> None:
    journal = OddJournal()
    journal.renewing = iter([AWAY, RuntimeError("odd"), AWAY])

    async def until_renewed(arguments: Arguments, context: ToolContext) -> object:
        await journal.renewed.wait()
        return "done"

    async with asyncio.timeout(5):
        outcome = await an_attempt(journal, Tool("t", "", {}, until_renewed)).run({})
    assert isinstance(outcome, Completed)


async def test_the_lease_is_kept_until_the_journal_has_the_result() -> None:
    journal = OddJournal()
    journal.finishing = iter([AWAY, AWAY])

    async def at_once(arguments: Arguments, context: ToolContext) -> object:
        return "done"

    async with asyncio.timeout(5):
        await an_attempt(journal, Tool("t", "", {}, at_once)).run({})
    assert journal.outcome is not None
    assert journal.renewals_before_the_end >= 2


async def test_a_lost_lease_stops_the_handler() -> None:
    journal = OddJournal()
    journal.renewing = iter([ExecutionLostError()])

    async def for_ever(arguments: Arguments, context: ToolContext) -> object:
        await asyncio.Event().wait()
        return None

    async with asyncio.timeout(5):
        try:
            await an_attempt(journal, Tool("t", "", {}, for_ever)).run({})
        except ExecutionLostError:
            assert journal.outcome is None
        else:
            raise AssertionError("the journal knows better")
