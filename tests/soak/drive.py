"""Drives the mix, samples the services meanwhile, and gathers what is wrong."""

import asyncio
import random
import time
import traceback
from collections import Counter
from collections.abc import Mapping

from oracle import Recordings
from oracle.check import check
from public_api import new_tenant
from runs_world import superuser_url
from weft_cli.stack import Stack

from soak.census import MIB, Holdings, growth, holdings, resident_bytes
from soak.kinds import MIX, Ground, Kind

# Before anything is compared: caches, pools and the allocators have seen every kind.
WARM_UP_SHARE, MIN_WARM_UP = 0.05, 100
SAMPLE_SECONDS, TELL_SECONDS, SETTLE_SECONDS = 1.0, 15.0, 60.0
MAX_TROUBLES = 20


class Soak:
    def __init__(self, stack: Stack, rng: random.Random, runs: int, at_once: int) -> None:
        self._stack, self._rng, self._runs, self._at_once = stack, rng, runs, at_once
        self._made, self._by_kind = 0, Counter[str]()
        self._samples: list[Mapping[str, int]] = []
        self._troubles: list[str] = []

    async def go(self) -> list[str]:
        """Return what is wrong."""
        gateways = [self._stack.address(name) for name in self._stack.names if name.startswith("gateway")]
        async with new_tenant(gateways, self._stack.operator_key) as api:
            ground = Ground(api, self._rng)
            await ground.prepare()
            warm_up = max(MIN_WARM_UP, int(self._runs * WARM_UP_SHARE))
            await self._drive(ground, warm_up)
            before = await self._settled(None)
            sampling = asyncio.create_task(self._sample())
            await self._drive(ground, warm_up + self._runs)
            sampling.cancel()
            await asyncio.wait({sampling})
            await self._compare(before)
            await self._judge(api.recordings)
        return self._troubles

    async def _drive(self, ground: Ground, until: int) -> None:
        began, first = time.monotonic(), self._made
        telling = asyncio.create_task(self._tell(began, first))
        try:
            await asyncio.gather(*(self._caller(ground, until) for _ in range(self._at_once)))
        finally:
            telling.cancel()
            await asyncio.wait({telling})
        print(self._progress(began, first), flush=True)

    async def _caller(self, ground: Ground, until: int) -> None:
        kinds, weights = list(MIX), list(MIX.values())
        while self._made < until and len(self._troubles) < MAX_TROUBLES:
            kind: Kind = self._rng.choices(kinds, weights)[0]
            try:
                made = await kind(ground)
                self._made += made  # not in one line: what it adds to would be read before the await
            except Exception:
                self._troubles.append(f"{kind.__name__}: {traceback.format_exc(limit=-2)}")
            self._by_kind[kind.__name__] += 1

    async def _tell(self, began: float, first: int) -> None:
        while True:
            await asyncio.sleep(TELL_SECONDS)
            print(self._progress(began, first), flush=True)

    def _progress(self, began: float, first: int) -> str:
        seconds = time.monotonic() - began
        memory = ", ".join(f"{name} {size / MIB:.0f}" for name, size in resident_bytes(self._stack).items())
        rate = (self._made - first) / max(seconds, 0.001)
        return f"  {self._made} runs, {rate:.1f} a second, {len(self._troubles)} troubles; MiB: {memory}"

    async def _sample(self) -> None:
        while True:
            self._samples.append(resident_bytes(self._stack))
            await asyncio.sleep(SAMPLE_SECONDS)

    async def _settled(self, before: Holdings | None) -> Holdings:
        """Return what is held once nothing is left over, or after a while."""
        end = time.monotonic() + SETTLE_SECONDS
        while True:
            now = await holdings(self._stack)
            is_done = now.open_runs == 0 if before is None else not now.surplus(before)
            if is_done or time.monotonic() > end:
                return now
            await asyncio.sleep(0.5)

    async def _compare(self, before: Holdings) -> None:
        after = await self._settled(before)
        self._troubles += [f"left over: {what}" for what in after.surplus(before)]
        self._troubles += [f"memory: {what}" for what in growth(self._samples)]
        print(f"  held before {before}\n  held after  {after}", flush=True)

    async def _judge(self, recordings: Recordings) -> None:
        verdict = await check(superuser_url(self._stack), recordings)
        self._troubles += [f"oracle: {name}: {examples}" for name, examples in verdict.violations.items()]
        print(f"  by kind: {dict(self._by_kind)}\n  the oracle looked at {verdict.checked}", flush=True)
