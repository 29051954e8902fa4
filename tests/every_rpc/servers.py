"""Servers in the test's own process, on the stack's database: ahead of their time, without a peer, or stopping."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, cast

import grpc
import uuid_utils.compat
from pydantic import SecretStr
from runs_world import Wires
from weft.tools.v1 import tool_service_pb2_grpc
from weft_cli.stack import Stack
from weft_core.page_tokens import LIFETIME_SECONDS, PageTokens
from weft_gateway.server import Gateway
from weft_gateway.server import compose as compose_gateway
from weft_gateway.settings import GatewaySettings
from weft_grpckit.program import Program
from weft_grpckit.server import WeftServer, inner_guards
from weft_grpckit.tokens import TokenSigner, TokenVerifier
from weft_threads.paging import Pager
from weft_threads.runs.announce import Announcer
from weft_threads.runs.end_signals import LiveEndSignals
from weft_threads.runs.held_claims import HeldClaims
from weft_threads.server import Wiring, register_nouns, register_runs
from weft_threads.settings import Settings
from weft_threads.store.database import Database
from weft_tools.builtin import BUILT_IN
from weft_tools.domain.registry import Registry
from weft_tools.schema import compile_schema
from weft_tools.servicer import ToolServicer
from weft_wire.live import LiveEvents

NOBODY_LISTENS: Final = "127.0.0.1:9"


class LaterClock:
    """Every page token that exists is too old for it."""

    def now(self) -> float:
        return time.time() + LIFETIME_SECONDS + 60

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass
class Own:
    """A server in this process."""

    address: str
    channel: grpc.aio.Channel


@dataclass
class Ahead:
    """Threads and tools as they will be in more than a day, by name."""

    servers: dict[str, Own]


@asynccontextmanager
async def open_ahead(stack: Stack) -> AsyncIterator[Ahead]:
    key, tokens = bytes.fromhex(stack.token_key), PageTokens(bytes.fromhex(stack.token_key), LaterClock())
    tools = WeftServer(inner_guards(TokenVerifier(key)), strict_reasons=True)
    registry, none = Registry(BUILT_IN, compile_schema), cast(Any, None)
    tools.register(tool_service_pb2_grpc.add_ToolServiceServicer_to_server, ToolServicer(registry, none, none, tokens))
    async with a_threads_server(stack, tokens) as threads, _serving(tools) as own_tools:
        yield Ahead({"threads": threads, "tools": own_tools})


@asynccontextmanager
async def a_threads_server(stack: Stack, tokens: PageTokens, *, database: str | None = None) -> AsyncIterator[Own]:
    """A threads server; `database` is another address of PostgreSQL than the stack's."""
    key = bytes.fromhex(stack.token_key)
    urls = [stack.database_url(role) for role in ("weft_app", "weft_queue")]
    if database is not None:
        urls = [url.replace(stack.address("postgres"), database) for url in urls]
    terms: Any = {"token_key": stack.token_key, "app_database_url": urls[0], "queue_database_url": urls[1]}
    async with AsyncExitStack() as opened:
        wires = Wires()
        wiring = Wiring(
            database=await Database.open(opened, urls[0], urls[1], 2, 1),
            announcer=Announcer(wires, wires, wires),
            held=HeldClaims(wires),
            ends=LiveEndSignals(lambda on_frame: LiveEvents(stack.redis_url, on_frame)),
            pager=Pager(tokens),
            signer=TokenSigner(key),
            new_id=uuid_utils.compat.uuid7,
            settings=Settings(**terms),
            stopping=asyncio.Event(),
        )
        server = WeftServer(inner_guards(TokenVerifier(key)), strict_reasons=True)
        register_nouns(server, wiring)
        register_runs(server, wiring)
        yield await opened.enter_async_context(_serving(server))


@asynccontextmanager
async def _serving(server: WeftServer) -> AsyncIterator[Own]:
    address = f"127.0.0.1:{await server.start('127.0.0.1:0')}"
    try:
        async with grpc.aio.insecure_channel(address) as channel:
            yield Own(address, channel)
    finally:
        await server.stop(0)


@dataclass
class OwnGateway(Own):
    program: Program


@asynccontextmanager
async def a_gateway(stack: Stack, **changes: Any) -> AsyncIterator[OwnGateway]:
    """A gateway of its own; `changes` are settings."""
    terms: dict[str, Any] = {
        "listen_address": "127.0.0.1:0",
        "token_key": SecretStr(stack.token_key),
        "operator_key": SecretStr(stack.operator_key),
        "redis_url": stack.redis_url,
        "threads_addresses": stack.address("threads"),
        "tools_addresses": stack.address("tools"),
        "strict_reasons": True,
    }
    settings, program = GatewaySettings(**(terms | changes)), Program(grace_seconds=3)
    ready: asyncio.Future[Gateway] = asyncio.get_running_loop().create_future()

    async def composing(made: Program) -> None:
        ready.set_result(await compose_gateway(made, settings))

    running = asyncio.create_task(program.run(composing))
    try:
        async with asyncio.timeout(10):
            gateway = await ready
        address = f"127.0.0.1:{gateway.port}"
        async with grpc.aio.insecure_channel(address) as channel:
            yield OwnGateway(address, channel, program)
    finally:
        program.stopping.set()
        await running
