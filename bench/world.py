"""What is measured: all services as processes of their own, PostgreSQL with full durability, the scripted model."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import openai
from baseline import Baseline, open_baseline
from weft.agents.v1 import agent_pb2, agent_service_pb2
from weft.gateway.v1 import agent_gateway_service_pb2 as gateway_pb
from weft.runs.v1 import event_pb2, run_service_pb2
from weft_cli.api import Api
from weft_cli.stack.development import set_up_development
from weft_cli.stack.stack import Stack

MEMBERS = frozenset({"postgres", "redis", "model", "threads", "tools", "agent-runner", "gateway"})
# A breath between two measurements, so that one does not pay for what the last one left to do.
PAUSE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class World:
    stack: Stack
    api: Api
    api_key: str
    baseline: Baseline
    model: openai.AsyncOpenAI
    http: aiohttp.ClientSession

    async def make_agent(self, model: str) -> str:
        request = agent_service_pb2.CreateAgentRequest(display_name="bench", spec=agent_pb2.AgentSpec(model=model))
        return (await self.api.call(self.api.agents.CreateAgent, request)).agent.agent_id

    async def initiate(self, agent_id: str, text: str = "Hello there") -> str:
        request = gateway_pb.InitiateAgentRequest(text=text, agent_id=agent_id)
        return (await self.api.call(self.api.gateway.InitiateAgent, request)).run_id

    def watch(self, run_id: str) -> Any:
        """Open RunEvents; lean, as a client in a hurry would."""
        return self.api.gateway.RunEvents(
            gateway_pb.RunEventsRequest(run_id=run_id), metadata=(("x-api-key", self.api_key),)
        )

    async def ended(self, run_id: str) -> None:
        """Wait for the end of a run and until the services are quiet again."""
        request = run_service_pb2.WaitRunRequest(run_id=run_id)
        await self.api.call(self.api.runs.WaitRun, request)
        await asyncio.sleep(PAUSE_SECONDS)

    async def model_calls(self, model: str, ended: int) -> list[dict[str, Any]]:
        """Return the scripted model's record of the calls with this model name, once so many have ended."""
        url = self.stack.model_url.removesuffix("/v1") + "/scripted/calls"
        async with self.http.get(url, params={"model": model, "ended": str(ended), "timeout": "10"}) as response:
            response.raise_for_status()
            calls: list[dict[str, Any]] = (await response.json())["calls"]
            return calls


async def first_delta(call: Any) -> event_pb2.RunEvent:
    """Read a watch up to the first piece of the answer."""
    async for response in call:
        for event in response.events:
            if event.WhichOneof("payload") == "message_delta":
                return event  # type: ignore[no-any-return]
    raise RuntimeError("the run said nothing")


@asynccontextmanager
async def open_world(folder: Path) -> AsyncIterator[World]:
    """Start everything with its data on the disk under `folder`."""
    async with AsyncExitStack() as stack:
        data = stack.enter_context(tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True))
        weft = await stack.enter_async_context(Stack(Path(data), members=MEMBERS))
        development = await asyncio.to_thread(set_up_development, weft)
        api = await stack.enter_async_context(Api(weft.address("gateway"), development.api_key))
        baseline = await stack.enter_async_context(open_baseline(weft.database_url("postgres")))
        model = await stack.enter_async_context(openai.AsyncOpenAI(base_url=weft.model_url, api_key="none"))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        yield World(weft, api, development.api_key, baseline, model, http)
