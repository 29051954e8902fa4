"""A runner as it is composed in its process, between fakes of the run queue and of the tools, a scripted model, and a
real Redis."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import grpc
from pydantic import SecretStr
from weft.agents.v1 import agent_pb2
from weft.runner.v1 import agent_runner_service_pb2_grpc as runner_grpc
from weft.runs.v1 import event_pb2
from weft.tools.v1 import tool_pb2, tool_service_pb2_grpc
from weft.tools.v1 import tool_service_pb2 as tools_pb2
from weft_agent_runner.server import composed
from weft_agent_runner.settings import RunnerSettings
from weft_core.errors import InvalidArgumentError, NotFoundError
from weft_grpckit.channels import open_channel, service_token
from weft_grpckit.program import Program
from weft_grpckit.tokens import TokenSigner
from weft_testkit.run_queue import FakeRun, FakeRunQueue
from weft_testkit.run_queue.server import away, refuse
from weft_testkit.scripted_model import ScriptedModelServer
from weft_wire.outlet import RedisOutlet

TOKEN_KEY = "5a" * 32
SCHEMA = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}


@dataclass
class FakeTools(tool_service_pb2_grpc.ToolServiceServicer):
    """`echo` answers with its arguments. A call of a tool named in `gates` waits there, after `executing`; so does
    one whose place is in `gates_at`.

    `list` keeps state: it answers with its state and the place of the call; a place in `failing` fails.
    """

    names: tuple[str, ...] = ("echo", "slow", "other", "list")
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    gates_at: dict[tuple[int, int], asyncio.Event] = field(default_factory=dict)
    failing: set[tuple[int, int]] = field(default_factory=set)
    is_away: bool = False
    breaks: int = 0  # so many streams break after `executing`
    executed: list[tools_pb2.ExecuteToolRequest] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    lists: int = 0
    address: str = ""
    _server: grpc.aio.Server = field(init=False)

    async def ListTools(self, request: tools_pb2.ListToolsRequest, context: Any) -> tools_pb2.ListToolsResponse:
        self.lists += 1
        if self.is_away:
            await refuse(context, away())
        schema = json.dumps(SCHEMA)
        tools = [tool_pb2.Tool(name=each, parameters_json=schema, keeps_state=each == "list") for each in self.names]
        return tools_pb2.ListToolsResponse(tools=tools)

    async def ExecuteTool(
        self, request: tools_pb2.ExecuteToolRequest, context: Any
    ) -> AsyncIterator[tools_pb2.ExecuteToolResponse]:
        if self.is_away:
            await refuse(context, away())
        self.executed.append(request)
        if request.name not in self.names:
            await refuse(context, NotFoundError("TOOL_NOT_FOUND", f"no tool {request.name}"))
        try:
            json.loads(request.arguments_json)
        except ValueError as error:
            await refuse(context, InvalidArgumentError("TOOL_ARGUMENTS_INVALID", f"not JSON: {error}"))
        yield tools_pb2.ExecuteToolResponse(executing=tools_pb2.Executing(attempt=1))
        if self.breaks > 0:
            self.breaks -= 1
            await refuse(context, away())
        yield tools_pb2.ExecuteToolResponse(progress=tools_pb2.Progress(message="half", fraction=0.5))
        try:
            place = request.run_place.step, request.run_place.index
            gate = self.gates.get(request.name) or self.gates_at.get(place)
            if gate is not None:
                await gate.wait()
        except asyncio.CancelledError:
            self.cancelled.append(request.name)
            raise
        yield self._outcome(request)

    def _outcome(self, request: tools_pb2.ExecuteToolRequest) -> tools_pb2.ExecuteToolResponse:
        place = request.run_place.step, request.run_place.index
        if place in self.failing:
            reason = event_pb2.TOOL_FAILURE_REASON_FAILED
            return tools_pb2.ExecuteToolResponse(failed=tools_pb2.Failed(reason=reason, message="no"))
        content = f"{request.name} {request.arguments_json}"
        if request.name == "list":
            content = f"{request.state}({place[0]},{place[1]})"
        return tools_pb2.ExecuteToolResponse(completed=tools_pb2.Completed(content=content))

    async def start(self) -> None:
        self._server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        tool_service_pb2_grpc.add_ToolServiceServicer_to_server(self, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port(self.address or '127.0.0.1:0')}"
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop(None)

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    def states(self) -> list[str]:
        return [request.state for request in self.executed]

    def places(self) -> list[tuple[int, int]]:
        return [(request.run_place.step, request.run_place.index) for request in self.executed]


@dataclass
class World:
    queue: FakeRunQueue
    tools: FakeTools
    model: ScriptedModelServer
    outlet: RedisOutlet
    redis_url: str

    @classmethod
    @asynccontextmanager
    async def open(cls, redis_url: str) -> AsyncIterator[Self]:
        async with AsyncExitStack() as stack:
            queue = await stack.enter_async_context(FakeRunQueue())  # type: ignore[abstract]
            model = await stack.enter_async_context(ScriptedModelServer())
            outlet = RedisOutlet(redis_url)
            writing = asyncio.create_task(outlet.run())
            stack.push_async_callback(_ended, writing)
            queue.on_ready = outlet.ring
            world = cls(queue, await _serve_tools(stack), model, outlet, redis_url)
            yield world
            assert not queue.broken_rules

    def agent(self, model: str, *tools: str, **limits: Any) -> None:
        """Say what agents are from now on."""
        self.queue.spec = agent_pb2.AgentSpec(
            model=model, tools=tools or (), limits=agent_pb2.AgentLimits(**limits), system_instructions="Be brief."
        )

    @asynccontextmanager
    async def runner(self, **settings: Any) -> AsyncIterator["Runner"]:
        program, address = Program(1.0), f"127.0.0.1:{free_port()}"
        values: dict[str, Any] = {
            "listen_address": address,
            "token_key": SecretStr(TOKEN_KEY),
            "redis_url": self.redis_url,
            "threads_addresses": self.queue.address,
            "tools_addresses": self.tools.address,
            "openai_base_url": self.model.base_url,
            "tools_patience_seconds": 1.0,
            **settings,
        }
        running = asyncio.create_task(program.run(composed(RunnerSettings(**values))))
        try:
            await self.queue.until(lambda: running.done() or self.queue.calls["RegisterRunner"] > 0)
            if running.done():
                running.result()
            yield Runner(program, address)
        finally:
            program.stopping.set()
            await running

    async def ended(self, run: FakeRun, seconds: float = 10.0) -> FakeRun:
        await self.queue.until(lambda: run.is_ended, seconds)
        return run

    async def shows(self, run: FakeRun, kind: str, count: int = 1) -> event_pb2.RunEvent:
        """Wait until the log has so many events of a kind, and return the last of them."""
        await self.queue.until(lambda: run.kinds().count(kind) >= count)
        return [event for event in run.events if event.WhichOneof("payload") == kind][count - 1]

    def cancel(self, run: FakeRun, *, is_signalled: bool = True) -> None:
        run.stop_requested = True
        if is_signalled:
            self.outlet.signal(run.owner, run.run_id, run.epoch)


@dataclass
class Runner:
    program: Program
    address: str

    @asynccontextmanager
    async def stub(self) -> AsyncIterator["runner_grpc.AgentRunnerServiceAsyncStub"]:
        """Return a stub of the runner's own service, which calls as the operator."""
        signer = TokenSigner(bytes.fromhex(TOKEN_KEY))
        async with open_channel(self.address, token=service_token(signer, "operator")) as channel:
            yield runner_grpc.AgentRunnerServiceStub(channel)


async def _serve_tools(stack: AsyncExitStack) -> FakeTools:
    tools = FakeTools()  # type: ignore[abstract]
    await tools.start()
    stack.push_async_callback(tools.stop)
    return tools


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
