"""The gateway, put together."""

import asyncio
import time
from dataclasses import dataclass

from weft_core.caller import Caller, CallerKind
from weft_core.errors import server_stopping
from weft_grpckit.channels import open_channel
from weft_grpckit.program import Program
from weft_grpckit.server import WeftServer
from weft_grpckit.tokens import NOBODY, TokenSigner
from weft_telemetry import names
from weft_telemetry.metrics import observe_number
from weft_wire.live import LiveEvents

from weft_gateway.clients import OPERATOR_SCOPES, ApiKeyResolver
from weft_gateway.edge.access import EdgeAccessInterceptor
from weft_gateway.edge.api_keys import POSITIVE_SECONDS, ApiKeys
from weft_gateway.edge.open_streams import OpenStreams
from weft_gateway.forwarding import ForwardingHandler
from weft_gateway.live import run_events, stream_agent, thread_events
from weft_gateway.live.hub import Hub
from weft_gateway.live.log import EventLog
from weft_gateway.live.run_events import RunEvents
from weft_gateway.live.run_stream import RunStreams
from weft_gateway.live.stream_agent import StreamAgent
from weft_gateway.live.thread_events import ThreadEvents
from weft_gateway.live.thread_stream import ThreadStreams
from weft_gateway.public import SERVICES, public_routes
from weft_gateway.settings import GatewaySettings

OPERATOR = Caller(CallerKind.CALLER, NOBODY, "operator", OPERATOR_SCOPES)
# Streams that their callers resume elsewhere.
WATCHES = (run_events.PATH, stream_agent.PATH, thread_events.PATH)
# The longest public method with one response: WaitRun waits for up to a minute.
_UNARY_SECONDS = 75.0


@dataclass(frozen=True, slots=True)
class Gateway:
    """What tests look into."""

    port: int
    server: WeftServer
    hub: Hub
    keys: ApiKeys


async def compose(program: Program, settings: GatewaySettings) -> Gateway:
    """Open everything, and serve."""
    signer = TokenSigner(settings.token_key_bytes)
    threads = await program.enter(open_channel(settings.threads_addresses, timeout_seconds=_UNARY_SECONDS))
    tools = await program.enter(open_channel(settings.tools_addresses, timeout_seconds=_UNARY_SECONDS))

    keys = ApiKeys(
        ApiKeyResolver(threads, signer).resolve,
        OPERATOR,
        settings.operator_key.get_secret_value(),
        now=time.monotonic,
    )
    streams = OpenStreams()
    program.spawn("revoked keys", streams.end_revoked(keys, POSITIVE_SECONDS))

    log = EventLog(threads, signer)
    hub = Hub(lambda on_frame, on_reconnect: LiveEvents(settings.redis_url, on_frame, on_reconnect), log)
    _observe(hub)
    for name, task in hub.tasks().items():
        program.spawn(name, task)

    server = WeftServer(
        [EdgeAccessInterceptor(keys, signer, streams)],
        stopping=program.stopping,
        strict_reasons=settings.strict_reasons,
        max_calls=settings.max_calls,
    )
    runs = RunStreams(hub, log, settings.keepalive_seconds)
    server.add_handler(RunEvents(runs).handler())
    server.add_handler(StreamAgent(threads, runs).handler())
    server.add_handler(ThreadEvents(ThreadStreams(hub, log, runs, settings.keepalive_seconds)).handler())
    server.add_handler(ForwardingHandler(public_routes(threads, tools)))
    server.show(SERVICES)
    program.on_drain(lambda: _end_streams(streams, settings.stop_grace_seconds))
    port = await program.serve(server, settings.listen_address)
    return Gateway(port, server, hub, keys)


def _observe(hub: Hub) -> None:
    observe_number(names.LIVE_WATCHES, lambda: hub.watches)
    observe_number(names.LIVE_WATCHED, lambda: hub.watched)


async def _end_streams(streams: OpenStreams, grace_seconds: float) -> None:
    """End watches at once, they resume elsewhere; other streams when they do not end by themselves."""
    streams.end(server_stopping(), *WATCHES)
    try:
        async with asyncio.timeout(grace_seconds / 2):
            await streams.none_left()
    except TimeoutError:
        streams.end(server_stopping())
