"""A real tools server on a loopback port, with threads in memory behind it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest
from weft.tools.v1 import tool_service_pb2 as pb
from weft.tools.v1 import tool_service_pb2_grpc as rpc
from weft_core.ids import parse_id
from weft_core.page_tokens import PageTokens
from weft_grpckit.channels import ServiceChannel, open_channel
from weft_grpckit.server import WeftServer, inner_guards
from weft_grpckit.tokens import TokenSigner, TokenVerifier
from weft_testkit.effect_tools import effect_tools
from weft_testkit.fake_threads import FakeRun, FakeThreads
from weft_tools.builtin import BUILT_IN
from weft_tools.clients import Sessions
from weft_tools.domain.executor import Executor
from weft_tools.domain.limits import Limits
from weft_tools.domain.registry import Registry
from weft_tools.domain.tool import Arguments, Tool, ToolContext
from weft_tools.schema import compile_schema
from weft_tools.server import detached_context
from weft_tools.servicer import ToolServicer

KEY = b"k" * 32
TENANT = UUID(int=7)
SCOPES = ("tools.read", "tools.execute", "documents.read", "projects.read", "tasks.write", "runs.read")
QUICK = Limits(lease=0.4, renew_interval=0.1, cancel_grace=0.2, patience=2.0, poll_interval=0.02)


@dataclass
class Gate:
    """A tool that stops where a test wants it, and tells how it was left."""

    entered: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    calls: list[ToolContext] = field(default_factory=list)
    was_cancelled: bool = False

    async def handle(self, arguments: Arguments, context: ToolContext) -> object:
        self.calls.append(context)
        self.entered.set()
        try:
            await self.opened.wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        finally:
            self.left.set()
        return "passed"

    def tools(self) -> list[Tool]:
        schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
        once = Tool("gate", "Wait at a gate.", schema, self.handle)
        return [once, replace(once, name="idempotent_gate", is_idempotent=True)]


@dataclass
class ToolsServer:
    address: str
    executor: Executor
    stub: Any
    stopping: asyncio.Event


@dataclass
class Setting:
    threads: FakeThreads
    gate: Gate
    signer: TokenSigner
    stack: AsyncExitStack
    effects: Path
    more_tools: list[Tool] = field(default_factory=list)

    async def server(self, limits: Limits = QUICK) -> ToolsServer:
        return await self.stack.enter_async_context(a_server(self, limits))

    def agent(self, *tools: str) -> str:
        return self.threads.world.add_agent(TENANT, list(tools))

    def run(self, *tools: str) -> FakeRun:
        return self.threads.world.add_run(TENANT, self.agent(*tools))

    def caller(self, *scopes: str, tenant: UUID = TENANT) -> list[tuple[str, str]]:
        return [("weft-token", self.signer.caller_token(tenant, "ada", scopes or SCOPES))]

    def runner(self, run: FakeRun, epoch: int = 1, scopes: Sequence[str] = SCOPES) -> list[tuple[str, str]]:
        token = self.signer.run_token(
            TENANT,
            "ada",
            scopes,
            run_id=parse_id("run", run.run_id),
            epoch=epoch,
            agent_id=parse_id("agt", run.agent_id),
            lifetime_seconds=600,
        )
        return [("weft-token", token)]


@asynccontextmanager
async def a_server(setting: Setting, limits: Limits) -> AsyncIterator[ToolsServer]:
    registry = Registry([*BUILT_IN, *effect_tools(), *setting.gate.tools(), *setting.more_tools], compile_schema)
    executor = Executor(registry, limits, detached_context)
    server = WeftServer(inner_guards(TokenVerifier(KEY)), strict_reasons=True)
    async with open_channel(setting.threads.address) as channel:
        sessions = Sessions(channel, TokenSigner(KEY), limits.patience)
        server.register(
            rpc.add_ToolServiceServicer_to_server, ToolServicer(registry, executor, sessions, PageTokens(KEY))
        )
        address = f"127.0.0.1:{await server.start('127.0.0.1:0')}"
        async with ServiceChannel(grpc.aio.insecure_channel(address), lambda: "", 30) as own:
            yield ToolsServer(address, executor, rpc.ToolServiceStub(own), server.stopping)
        await executor.close(0)
        await server.stop(0)


def a_request(agent_id: str, name: str, arguments: str = "", **fields: Any) -> pb.ExecuteToolRequest:
    key: dict[str, Any] = {} if "request_id" in fields or "run_place" in fields else {"request_id": uuid4().hex}
    return pb.ExecuteToolRequest(agent_id=agent_id, name=name, arguments_json=arguments, **key, **fields)


def a_place(name: str, step: int = 1, index: int = 0, arguments: str = "") -> pb.ExecuteToolRequest:
    return a_request("", name, arguments, run_place=pb.RunPlace(step=step, index=index))


async def events_of(call: Any, timeout: float = 10) -> list[pb.ExecuteToolResponse]:
    async with asyncio.timeout(timeout):
        return [event async for event in call]


async def last_of(call: Any, timeout: float = 10) -> Any:
    """Return the outcome of a call that began as it should."""
    events = await events_of(call, timeout)
    kinds = [event.WhichOneof("event") for event in events]
    assert kinds[0] == "executing"
    assert set(kinds[1:-1]) <= {"progress"}
    return getattr(events[-1], str(kinds[-1]))


async def failure_of(call: Any, timeout: float = 10) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await events_of(call, timeout)
    return caught.value


async def eventually(is_so: Callable[[], bool], timeout: float = 5) -> None:
    async with asyncio.timeout(timeout):
        while not is_so():  # noqa: ASYNC110 (what changes has no event)
            await asyncio.sleep(0.01)


async def within(wait: Awaitable[Any], seconds: float = 5) -> Any:
    async with asyncio.timeout(seconds):
        return await wait
