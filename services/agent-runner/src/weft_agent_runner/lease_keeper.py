"""Registers the process as a runner and keeps its lease."""

import asyncio
import logging
import random
from collections.abc import Mapping

from weft_core.clock import Clock, SystemClock

from weft_agent_runner.domain.lease import Findings, compare
from weft_agent_runner.domain.ports import Heartbeat, PeerUnavailableError, RunnerUnknownError, RunQueue
from weft_agent_runner.domain.run import RunKey
from weft_agent_runner.roster import Roster
from weft_agent_runner.tenure import Tenure

_LOG = logging.getLogger(__name__)

_RETRY_SECONDS = 0.25


class LeaseKeeper:
    def __init__(self, queue: RunQueue, tenure: Tenure, roster: Roster, clock: Clock | None = None) -> None:
        self._queue, self._tenure, self._roster = queue, tenure, roster
        self._clock = clock or SystemClock()
        self._heartbeat_seconds = 1.0
        self._unknown: Mapping[RunKey, int] = {}
        self._is_away = False

    async def run(self) -> None:
        """Keep the lease until cancelled."""
        while True:
            try:
                await (self._beat() if self._tenure.runner_id else self._register())
                pause = self._heartbeat_seconds
            except RunnerUnknownError:
                self._forget()
                pause = 0.0
            except PeerUnavailableError as error:
                self._note_away(error)
                pause = _RETRY_SECONDS * (1 + random.random())
            await asyncio.sleep(pause)

    async def _register(self) -> None:
        sent_at = self._clock.monotonic()
        registration = await self._queue.register()
        self._heartbeat_seconds = registration.heartbeat_seconds
        await self._tenure.renew(registration.runner_id, sent_at, registration.lease_seconds)
        self._is_away = False
        _LOG.info("registered as %s", registration.runner_id)

    async def _beat(self) -> None:
        runner_id, held_before, sent_at = self._tenure.runner_id, self._roster.keys(), self._clock.monotonic()
        heartbeat = await self._queue.heartbeat(runner_id)
        # First what is not ours any more goes, then the lease is trusted again: nothing is started for such a run.
        findings = self._look_at_runs(heartbeat, held_before)
        await self._tenure.renew(runner_id, sent_at, heartbeat.lease_seconds)
        if self._is_away:
            _LOG.info("the run queue answers again")
        self._is_away = False
        if findings.to_release:
            await self._queue.release(runner_id, findings.to_release)

    def _look_at_runs(self, heartbeat: Heartbeat, held_before: frozenset[RunKey]) -> Findings:
        roster = self._roster
        findings = compare(heartbeat.owned_runs, held_before, roster.keys(), self._unknown, roster.claim_book.claims())
        self._unknown = findings.unknown
        for key in findings.to_stop:
            self._roster.stop(key.run_id, key.epoch)
        self._roster.drop(findings.to_drop)
        return findings

    def _forget(self) -> None:
        held = tuple(self._roster.keys())
        _LOG.warning("the run queue does not know %s: dropping %d runs", self._tenure.runner_id, len(held))
        self._tenure.end()
        self._unknown = {}
        self._roster.drop(held)

    def _note_away(self, error: PeerUnavailableError) -> None:
        if not self._is_away:
            _LOG.warning("the run queue does not answer: %s", error)
        self._is_away = True
