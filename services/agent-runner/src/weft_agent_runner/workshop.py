"""What all runs of a process share."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import random
from typing import Protocol, TypeVar

from weft_core.clock import Clock, SystemClock

from weft_agent_runner.domain.agent import Equipment
from weft_agent_runner.domain.model import Model
from weft_agent_runner.domain.ports import (
    Attachments,
    Extractor,
    PeerFaultError,
    PeerRefusedError,
    PeerUnavailableError,
    RunQueue,
    Tools,
)
from weft_agent_runner.domain.retries import backoff
from weft_agent_runner.domain.run import ClaimedRun
from weft_agent_runner.telemetry.runs import RunTelemetry
from weft_agent_runner.titler import Titler
from weft_agent_runner.transcript_log import NoTranscripts, Transcripts

T = TypeVar("T")

_MAX_FAULTS = 10
_GOING_ON_SECONDS = 5.5  # longer than what calls with one answer wait for it


class Trust(Protocol):
    async def wait(self) -> None:
        """Return when the lease can be trusted: only then may a model or tool call be started."""


class Equipper(Protocol):
    async def equip(self, run: ClaimedRun) -> Equipment: ...

    async def renewed(self, run: ClaimedRun, equipment: Equipment, seconds: float) -> Equipment: ...


@dataclass(frozen=True, slots=True)
class RunLimits:
    """`tools_patience_seconds`: how long a tools service that is away is called again."""

    max_context_bytes: int = 16 * 1024 * 1024
    tools_patience_seconds: float = 15.0


@dataclass(frozen=True, slots=True)
class Workshop:
    queue: RunQueue
    model: Model
    tools: Tools
    equipper: Equipper
    attachments: Attachments
    extractor: Extractor
    reading_slots: asyncio.Semaphore
    """Of files that are read at once."""
    titler: Titler
    trust: Trust
    limits: RunLimits = RunLimits()
    telemetry: RunTelemetry = field(default_factory=RunTelemetry)
    transcripts: Transcripts = field(default_factory=NoTranscripts)
    clock: Clock = field(default_factory=SystemClock)
    random: Callable[[], float] = random


async def patiently(call: Callable[[], Awaitable[T]], seconds: float, random: Callable[[], float] = random) -> T:
    """Call until the peer answers. The time counts from its first failure, and anew after a try that went on for a
    while: then the peer had been there.

    Raises: PeerUnavailableError: it did not for `seconds`, failed many times, or refused.
    """
    clock = asyncio.get_running_loop().time
    give_up_at, tries, faults = 0.0, 0, 0
    while True:
        began_at = clock()
        try:
            return await call()
        except PeerRefusedError:
            raise
        except PeerUnavailableError as error:
            if tries == 0 or clock() - began_at > _GOING_ON_SECONDS:
                give_up_at, tries, faults = clock() + seconds, 0, 0
            pause = backoff(min(tries, 3), random) / 2
            tries += 1
            faults += isinstance(error, PeerFaultError)
            if faults >= _MAX_FAULTS or clock() + pause >= give_up_at:
                raise
        await asyncio.sleep(pause)
