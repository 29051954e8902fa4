"""What is told of the write lane and of the slots."""

import time
from collections.abc import Sequence

from weft_telemetry import names, state
from weft_telemetry.metrics import observe_number, recorder

from weft_agent_runner.domain.entry import Entry, EntryResult
from weft_agent_runner.lane import Committer, WriteLane
from weft_agent_runner.roster import Roster


def observed_committer(commit: Committer) -> Committer:
    """Return `commit` itself where metrics are off."""
    if state.installed().meter is None:
        return commit
    record_entries, record_seconds = recorder(names.LANE_ENTRIES), recorder(names.LANE_SECONDS)

    async def observed(entries: Sequence[Entry]) -> Sequence[EntryResult]:
        began, cause = time.perf_counter(), "ok"
        record_entries(len(entries))
        try:
            return await commit(entries)
        except BaseException as error:
            cause = type(error).__name__
            raise
        finally:
            record_seconds(time.perf_counter() - began, cause)

    return observed


def observe_runner(roster: Roster, lane: WriteLane) -> None:
    observe_number(names.ACTIVE_RUNS, lambda: roster.max_runs - roster.free_slots)
    observe_number(names.RUN_SLOTS, lambda: roster.max_runs)
    observe_number(names.LANE_WAITING, lambda: lane.waiting_bytes)
