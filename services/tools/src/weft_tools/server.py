"""The composition root."""

from contextvars import Context, copy_context

from weft.tools.v1 import tool_service_pb2_grpc
from weft_core.page_tokens import PageTokens
from weft_egress.fetch import Fetcher, FetchLimits
from weft_egress.policy import policy_of
from weft_grpckit.channels import open_channel
from weft_grpckit.deadlines import without_deadline
from weft_grpckit.program import Program, run_service
from weft_grpckit.server import WeftServer, inner_guards
from weft_grpckit.settings import load_settings
from weft_grpckit.tokens import TokenSigner, TokenVerifier

from weft_tools.builtin import BUILT_IN
from weft_tools.builtin.http_fetch import http_fetch
from weft_tools.clients import Sessions
from weft_tools.domain.executor import Executor
from weft_tools.domain.limits import Limits
from weft_tools.domain.registry import Registry
from weft_tools.plugins import load_plugins
from weft_tools.schema import compile_schema
from weft_tools.servicer import ToolServicer
from weft_tools.settings import Settings, references_in
from weft_tools.telemetry import watched

USER_AGENT = "weft-http-fetch (fetches what an agent asks for)"
# The fetcher's own limit ends a fetch, so that the model is told which it was.
FETCH_SLACK_SECONDS = 15.0


async def compose(settings: Settings, program: Program) -> None:
    key, limits = settings.token_key_bytes, limits_of(settings)
    channel = await program.enter(open_channel(settings.threads_addresses))
    fetcher = await program.enter(fetcher_of(settings))
    fetch = http_fetch(fetcher, settings.http_fetch_seconds + FETCH_SLACK_SECONDS)
    tools = (*BUILT_IN, fetch, *load_plugins(references_in(settings.tool_plugins)))
    registry = Registry(map(watched, tools), compile_schema)
    executor = Executor(registry, limits, detached_context)
    program.on_drain(lambda: executor.close(drain_seconds(settings, limits)))
    server = WeftServer(
        inner_guards(TokenVerifier(key)), stopping=program.stopping, strict_reasons=settings.strict_reasons
    )
    sessions = Sessions(channel, TokenSigner(key), limits.patience)
    servicer = ToolServicer(registry, executor, sessions, PageTokens(key))
    server.register(tool_service_pb2_grpc.add_ToolServiceServicer_to_server, servicer)
    await program.serve(server, settings.listen_address)


def fetcher_of(settings: Settings) -> Fetcher:
    policy = policy_of(settings.egress_ports, settings.egress_allow)
    limits = FetchLimits(total_seconds=settings.http_fetch_seconds, max_bytes=settings.http_fetch_max_bytes)
    return Fetcher(policy, limits, USER_AGENT)


def limits_of(settings: Settings) -> Limits:
    lease = settings.tool_lease_seconds
    return Limits(lease=lease, renew_interval=lease / 4, patience=settings.journal_patience_seconds)


def drain_seconds(settings: Settings, limits: Limits) -> float:
    """Return how long calls may go on when the service stops, so that stopping them still fits into the grace."""
    return max(settings.stop_grace_seconds - 3.5 * limits.cancel_grace, 0.0)


def detached_context() -> Context:
    """Return the context of work that outlives its call: all of the call's but its deadline."""
    context = copy_context()
    context.run(without_deadline)
    return context


def main() -> None:
    settings = load_settings(Settings)
    run_service("tools", settings, lambda program: compose(settings, program))
