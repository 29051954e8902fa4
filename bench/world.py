"""What is measured: all services as processes of their own, PostgreSQL with full durability, the scripted model."""

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import openai
from baseline import Baseline, open_baseline
from processes import Cost, cpu_seconds, memory_mib
from weft.agents.v1 import agent_pb2, agent_service_pb2
from weft.gateway.v1 import agent_gateway_service_pb2 as gateway_pb
from weft.runs.v1 import event_pb2, run_service_pb2
from weft_cli.api import Api
from weft_cli.stack.development import Development, set_up_development
from weft_cli.stack.stack import Stack

SERVICES = ("gateway", "threads", "agent-runner", "tools")
MEMBERS = ("postgres", "redis", "model", *SERVICES)
CLIENT = "client"
# What a process may hold at once is not what is measured: there are slots for all runs of every figure.
# Titles are off: the baselines make none.
ENV = {"agent-runner": {"WEFT_MAX_RUNS": "500", "WEFT_TITLES": "0"}}
# A breath between two measurements, so that one does not pay for what the last one left to do.
PAUSE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Told:
    """What a watch told of a run, to its end."""

    text: str
    ending: str


@dataclass(frozen=True, slots=True)
class World:
    stack: Stack
    api: Api
    development: Development
    baseline: Baseline
    model: openai.AsyncOpenAI
    http: aiohttp.ClientSession
    costs: list[Cost] = field(default_factory=list)

    @property
    def api_key(self) -> str:
        return self.development.api_key

    async def make_agent(self, model: str, *tools: str, limits: agent_pb2.AgentLimits | None = None) -> str:
        spec = agent_pb2.AgentSpec(model=model, tools=tools, limits=limits)
        request = agent_service_pb2.CreateAgentRequest(display_name="bench", spec=spec)
        return (await self.api.call(self.api.agents.CreateAgent, request)).agent.agent_id

    async def initiate(self, agent_id: str, text: str = "Hello there", thread_id: str = "") -> str:
        request = gateway_pb.InitiateAgentRequest(text=text, agent_id=agent_id, thread_id=thread_id)
        return (await self.api.call(self.api.gateway.InitiateAgent, request)).run_id

    def watch(self, run_id: str) -> Any:
        """Open RunEvents."""
        return self.api.gateway.RunEvents(
            gateway_pb.RunEventsRequest(run_id=run_id), metadata=(("x-api-key", self.api_key),)
        )

    async def run(self, agent_id: str, text: str = "Hello there") -> Told:
        """Ask, and read the answer to its end, in one call."""
        return await told(self.stream(agent_id, text))

    def stream(self, agent_id: str, text: str = "Hello there") -> Any:
        """Open StreamAgent; lean, as a client in a hurry would."""
        initiate = gateway_pb.InitiateAgentRequest(text=text, agent_id=agent_id)
        request = gateway_pb.StreamAgentRequest(initiate=initiate)
        return self.api.gateway.StreamAgent(request, metadata=(("x-api-key", self.api_key),))

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

    @contextmanager
    def costing(self, name: str, runs: int) -> Iterator[None]:
        """Note what the work inside costs; this process counts as the client."""
        before, own = self._cpu(), time.process_time()
        yield
        cpu = {member: after - before[member] for member, after in self._cpu().items()}
        self.costs.append(Cost(name, runs, {**cpu, CLIENT: time.process_time() - own}, self.memory()))

    def cpu_of_services(self) -> float:
        """CPU seconds so far of all services and PostgreSQL."""
        return sum(cpu_seconds(self.stack.pid(name)) for name in (*SERVICES, "postgres"))

    def memory(self) -> dict[str, float]:
        return {name: memory_mib(self.stack.pid(name)) for name in SERVICES}

    def _cpu(self) -> dict[str, float]:
        return {name: cpu_seconds(self.stack.pid(name)) for name in MEMBERS}


async def first_delta(call: Any) -> event_pb2.RunEvent:
    """Read a watch up to the first piece of the answer."""
    async for response in call:
        for event in response.events:
            if event.WhichOneof("payload") == "message_delta":
                return event  # type: ignore[no-any-return]
    raise RuntimeError("the run said nothing")


async def told(call: Any) -> Told:
    """Read a watch to its end."""
    pieces, kind = [], ""
    async for response in call:
        for event in response.events:
            kind = event.WhichOneof("payload")
            if kind == "message_delta":
                pieces.append(event.message_delta.text)
    return Told("".join(pieces), kind)


def require_success(answer: Told) -> Told:
    if answer.ending != "run_succeeded":
        raise RuntimeError(f"a run of the benchmark ended with {answer.ending}")
    return answer


@asynccontextmanager
async def open_world(folder: Path) -> AsyncIterator[World]:
    """Start everything with its data on the disk under `folder`."""
    async with AsyncExitStack() as stack:
        data = stack.enter_context(tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True))
        env = {name: {key: os.environ.get(key, value) for key, value in each.items()} for name, each in ENV.items()}
        weft = await stack.enter_async_context(Stack(Path(data), members=MEMBERS, env=env))
        development = await asyncio.to_thread(set_up_development, weft)
        api = await stack.enter_async_context(Api(weft.address("gateway"), development.api_key))
        baseline = await stack.enter_async_context(open_baseline(weft.database_url("postgres")))
        model = await stack.enter_async_context(openai.AsyncOpenAI(base_url=weft.model_url, api_key="none"))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        yield World(weft, api, development, baseline, model, http)
