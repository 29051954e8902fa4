"""What fault tests share: members to kill and mend, the model's record, the oracle's judgement."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import aiohttp
import asyncpg
import grpc
from oracle import Verdict, assert_clean
from public_api import Api, new_tenant
from runs_world import superuser_url
from weft.runs.v1.run_service_pb2 import ListRunsRequest
from weft_cli.stack import Stack
from weft_cli.stack.errors import StackError


@dataclass
class FaultWorld:
    stack: Stack
    api: Api
    effects: Path

    @classmethod
    @asynccontextmanager
    async def open(cls, stack: Stack, effects: Path) -> AsyncIterator[Self]:
        gateways = [stack.address(name) for name in stack.names if name.startswith("gateway")]
        async with new_tenant(gateways, stack.operator_key) as api:
            api.recordings.effects = effects
            yield cls(stack, api, effects)

    @property
    def dsn(self) -> str:
        return superuser_url(self.stack)

    async def kill(self, name: str) -> None:
        await asyncio.to_thread(self.stack.kill, name)

    async def stop(self, name: str) -> None:
        await asyncio.to_thread(self.stack.stop, name)

    async def start(self, name: str) -> None:
        await asyncio.to_thread(self.stack.start, name)

    async def mend(self) -> None:
        """Start what a test left dead."""
        for name in self.stack.names:
            if not self._is_running(name):
                await self.start(name)
        await self._database_answers()

    def _is_running(self, name: str) -> bool:
        try:
            return self.stack.pid(name) > 0
        except StackError:
            return False

    async def _database_answers(self) -> None:
        """Wait until a call that needs the database succeeds again."""
        async with asyncio.timeout(30):
            while True:
                try:
                    await self.api.runs.ListRuns(ListRunsRequest(), metadata=self.api.metadata, timeout=5)
                    return
                except grpc.aio.AioRpcError:
                    await asyncio.sleep(0.1)

    async def judge(self) -> Verdict:
        return await assert_clean(self.dsn, self.api.recordings)

    async def fetch(self, query: str, *args: object) -> list[Any]:
        connection = await asyncpg.connect(self.dsn)
        try:
            return list(await connection.fetch(query, *args))
        finally:
            await connection.close()

    async def runner_of(self, run_id: str) -> str:
        """Return the member that executes a run: its host column ends in the process id."""
        rows = await self.fetch(
            "SELECT o.host FROM runs r JOIN runners o ON o.runner_id = r.owner WHERE id_text('run', r.run_id) = $1",
            run_id,
        )
        assert rows, f"{run_id} has no runner"
        pids = {self.stack.pid(name): name for name in self.stack.names if name.startswith("agent-runner")}
        found = [name for pid, name in pids.items() if str(pid) in rows[0]["host"].replace(":", " ").split()]
        assert found, f"{rows[0]['host']} is none of {pids}"
        return found[0]

    async def calls(self, **query: str | int) -> list[dict[str, Any]]:
        """Return the scripted model's record, filtered: model, marker, started, ended."""
        url = self.stack.model_url.removesuffix("/v1") + "/scripted/calls"
        params = {name: str(value) for name, value in query.items()}
        async with aiohttp.ClientSession() as session, session.get(url, params=params) as response:
            response.raise_for_status()
            return list((await response.json())["calls"])
