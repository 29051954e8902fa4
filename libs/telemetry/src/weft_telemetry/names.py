"""Every name that telemetry uses: spans, attributes, metrics. docs/telemetry.md is written from here.

RPC and GenAI names are those of OpenTelemetry's semantic conventions (GenAI: the newest, of which most are in
development); what they do not know begins with `weft.`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What a metric counts: events, values, or what is so at the moment of asking."""

    COUNTER = "counter"
    HISTOGRAM = "histogram"
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class Metric:
    """`attributes` come in this order where a value is recorded. Those in `bounded` take at most so many values; what
    comes later counts as `_OTHER`."""

    name: str
    kind: Kind
    unit: str
    meaning: str
    attributes: tuple[str, ...] = ()
    buckets: Sequence[float] = ()
    bounded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SpanName:
    """A kind of span. `name` is what it is called, `{…}` standing for what differs."""

    name: str
    kind: str
    service: str
    meaning: str


# Attributes.
RPC_SYSTEM: Final = "rpc.system.name"
RPC_METHOD: Final = "rpc.method"
RPC_STATUS: Final = "rpc.response.status_code"
ERROR_TYPE: Final = "error.type"
REASON: Final = "weft.error.reason"
TENANT: Final = "weft.tenant.id"
RUN: Final = "weft.run.id"
EPOCH: Final = "weft.run.epoch"
ATTEMPT: Final = "weft.run.attempt"
RUN_STATE: Final = "weft.run.state"
STEP: Final = "weft.step"
STEP_ATTEMPT: Final = "weft.step.attempt"
QUEUE_WAIT: Final = "weft.queue.wait_seconds"
OUTCOME: Final = "weft.tool.outcome"
POOL: Final = "db.client.connection.pool.name"
POOL_STATE: Final = "db.client.connection.state"
CAUSE: Final = "weft.cause"
MESSAGING_SYSTEM: Final = "messaging.system"
MESSAGING_OPERATION: Final = "messaging.operation.type"
MESSAGING_DESTINATION: Final = "messaging.destination.name"
OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_STREAM: Final = "gen_ai.request.stream"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_ID: Final = "gen_ai.response.id"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
CACHED_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
CONVERSATION: Final = "gen_ai.conversation.id"
AGENT: Final = "gen_ai.agent.id"
AGENT_VERSION: Final = "gen_ai.agent.version"
TOOL: Final = "gen_ai.tool.name"
TOOL_TYPE: Final = "gen_ai.tool.type"
TOOL_CALL: Final = "gen_ai.tool.call.id"
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
TOOL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
TOOL_RESULT: Final = "gen_ai.tool.call.result"

# Values.
CHAT: Final = "chat"
INVOKE_AGENT: Final = "invoke_agent"
EXECUTE_TOOL: Final = "execute_tool"
OTHER: Final = "_OTHER"

# Span names.
CLAIM_SPAN: Final = "receive runs"
HANDLE_SPAN: Final = "weft.tool.handle"

_RPC_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
# Of the GenAI conventions.
_MODEL_SECONDS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_RUN_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900)
_SHORT_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_COUNTS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)

SPANS: Final = (
    SpanName("{package.Service/Method}", "server", "all", "A call that the service serves."),
    SpanName("{package.Service/Method}", "client", "all", "A call of another service, made for a call or a run."),
    SpanName(CLAIM_SPAN, "consumer", "agent-runner", "A run comes off the queue; child of the call that put it there."),
    SpanName(f"{INVOKE_AGENT} {{agent}}", "internal", "agent-runner", "A run in the hands of one runner."),
    SpanName(f"{CHAT} {{model}}", "client", "agent-runner", "One try at a model call."),
    SpanName(f"{EXECUTE_TOOL} {{tool}}", "internal", "agent-runner", "A tool call as the run waits for it."),
    SpanName(f"{HANDLE_SPAN} {{tool}}", "internal", "tools", "The tool's own work, between its two journal entries."),
)

RPC_SERVER_DURATION: Final = Metric(
    "rpc.server.call.duration",
    Kind.HISTOGRAM,
    "s",
    "Calls served, by method and status. Streams count when they end.",
    (RPC_METHOD, RPC_STATUS, REASON),
    _RPC_SECONDS,
)
RPC_CLIENT_DURATION: Final = Metric(
    "rpc.client.call.duration",
    Kind.HISTOGRAM,
    "s",
    "Calls made to other services, by method and status.",
    (RPC_METHOD, RPC_STATUS),
    _RPC_SECONDS,
)
ACTIVE_CALLS: Final = Metric("weft.rpc.server.active_calls", Kind.GAUGE, "{call}", "Calls being served, streams too.")
LOOP_LAG: Final = Metric(
    "weft.loop.lag",
    Kind.HISTOGRAM,
    "s",
    "How much later than it should the event loop runs a timer, looked at twice a second.",
    (),
    _SHORT_SECONDS,
)
LOOP_STALLS: Final = Metric(
    "weft.loop.stalls", Kind.COUNTER, "{stall}", "Blocks of the event loop, where `WEFT_STALL_SECONDS` is set."
)

MODEL_DURATION: Final = Metric(
    "gen_ai.client.inference.duration",
    Kind.HISTOGRAM,
    "s",
    "Tries at model calls, from the request to the end of the answer.",
    (OPERATION, PROVIDER, REQUEST_MODEL, ERROR_TYPE),
    _MODEL_SECONDS,
    (REQUEST_MODEL,),
)
MODEL_FIRST_CHUNK: Final = Metric(
    "gen_ai.client.inference.time_to_first_chunk",
    Kind.HISTOGRAM,
    "s",
    "From the request to the first piece of text.",
    (OPERATION, PROVIDER, REQUEST_MODEL),
    _MODEL_SECONDS,
    (REQUEST_MODEL,),
)
MODEL_INPUT_TOKENS: Final = Metric(
    "gen_ai.client.inference.usage.input_tokens",
    Kind.COUNTER,
    "{token}",
    "Tokens that models were given, as providers say.",
    (OPERATION, PROVIDER, REQUEST_MODEL),
    bounded=(REQUEST_MODEL,),
)
MODEL_OUTPUT_TOKENS: Final = Metric(
    "gen_ai.client.inference.usage.output_tokens",
    Kind.COUNTER,
    "{token}",
    "Tokens that models answered with.",
    (OPERATION, PROVIDER, REQUEST_MODEL),
    bounded=(REQUEST_MODEL,),
)
MODEL_CACHED_TOKENS: Final = Metric(
    "gen_ai.client.inference.usage.cache_read.input_tokens",
    Kind.COUNTER,
    "{token}",
    "Of the input tokens, those that a provider had in its cache.",
    (OPERATION, PROVIDER, REQUEST_MODEL),
    bounded=(REQUEST_MODEL,),
)
AGENT_DURATION: Final = Metric(
    "gen_ai.invoke_agent.duration",
    Kind.HISTOGRAM,
    "s",
    "Runs in the hands of this runner, by how it let go of them: an end, `waiting`, `given_back`, `lost`.",
    (OPERATION, RUN_STATE),
    _RUN_SECONDS,
)
TOOL_CALL_DURATION: Final = Metric(
    "gen_ai.execute_tool.duration",
    Kind.HISTOGRAM,
    "s",
    "Tool calls as runs wait for them, by tool and failure.",
    (OPERATION, TOOL, ERROR_TYPE),
    _RUN_SECONDS,
    (TOOL,),
)
TOOL_USE: Final = Metric(
    "weft.tool.duration",
    Kind.HISTOGRAM,
    "s",
    "Tool calls by tenant, tool and outcome: `SUCCEEDED`, or why not. Includes the journal.",
    (TENANT, TOOL, OUTCOME),
    _RUN_SECONDS,
    (TENANT,),
)
RUN_DURATION: Final = Metric(
    "weft.run.duration",
    Kind.HISTOGRAM,
    "s",
    "Runs from their acceptance to their end, by the state they ended in. Whoever ended a run counts it, once.",
    (RUN_STATE,),
    _RUN_SECONDS,
)
RUN_QUEUE_TIME: Final = Metric(
    "weft.run.queue_time",
    Kind.HISTOGRAM,
    "s",
    "Runs from their acceptance to their first start, the time behind other runs of the thread included.",
    (),
    _RUN_SECONDS,
)
CLAIM_LATENCY: Final = Metric(
    "weft.queue.claim_latency",
    Kind.HISTOGRAM,
    "s",
    "For how long a run could have been claimed when a runner took it up.",
    (),
    _RUN_SECONDS,
)
QUEUE_READY: Final = Metric(
    "weft.queue.ready_runs",
    Kind.GAUGE,
    "{run}",
    "Runs that wait for a runner, up to 10,000. Every threads replica tells of all: take the maximum.",
)
QUEUE_OLDEST: Final = Metric(
    "weft.queue.oldest_age", Kind.GAUGE, "s", "For how long the oldest of them waits. Take the maximum."
)
POOL_CONNECTIONS: Final = Metric(
    "db.client.connection.count",
    Kind.GAUGE,
    "{connection}",
    "Connections of threads to PostgreSQL, `used` and `idle`, of the pools `app` and `queue`.",
    (POOL, POOL_STATE),
)
POOL_SIZE: Final = Metric("db.client.connection.max", Kind.GAUGE, "{connection}", "How many a pool may have.", (POOL,))
POOL_WAIT: Final = Metric(
    "db.client.connection.wait_time",
    Kind.HISTOGRAM,
    "s",
    "How long work waited for a connection, the opening of a new one included.",
    (POOL,),
    _SHORT_SECONDS,
)
LIVE_DROPPED: Final = Metric(
    "weft.live.dropped",
    Kind.COUNTER,
    "{message}",
    "Live events and signals of threads that Redis did not take; their listeners have a slower way.",
)
ACTIVE_RUNS: Final = Metric("weft.runner.active_runs", Kind.GAUGE, "{run}", "Runs in the hands of this runner.")
RUN_SLOTS: Final = Metric("weft.runner.slots", Kind.GAUGE, "{run}", "How many it takes at once: `WEFT_MAX_RUNS`.")
LANE_ENTRIES: Final = Metric(
    "weft.lane.entries",
    Kind.HISTOGRAM,
    "{entry}",
    "Entries that went with one Commit: how many runs share a round trip.",
    (),
    _COUNTS,
)
LANE_SECONDS: Final = Metric(
    "weft.lane.commit.duration",
    Kind.HISTOGRAM,
    "s",
    "One Commit of the runner's write lane, by `ok` or the error.",
    (CAUSE,),
    _SHORT_SECONDS,
)
LANE_WAITING: Final = Metric(
    "weft.lane.waiting_bytes", Kind.GAUGE, "By", "What waits for the next Commits of the write lane."
)
LIVE_WATCHES: Final = Metric("weft.live.watches", Kind.GAUGE, "{stream}", "Streams that watch a run or a thread.")
LIVE_WATCHED: Final = Metric("weft.live.watched", Kind.GAUGE, "{thing}", "Runs and threads that are watched.")
LIVE_REFILLS: Final = Metric(
    "weft.live.refills",
    Kind.COUNTER,
    "{read}",
    "Watches of runs that went back to the log: for a `gap` on the wire, or as a `slow_watcher` with a full queue.",
    (CAUSE,),
)
MODEL_COST: Final = Metric(
    "weft.model.cost",
    Kind.COUNTER,
    "{microdollar}",
    "What model calls cost, by `WEFT_MODEL_PRICES`, in millionths of a US dollar; calls without a price are left out.",
    (REQUEST_MODEL,),
    bounded=(REQUEST_MODEL,),
)

METRICS: Final[list[Metric]] = [
    value for name, value in sorted(globals().items()) if isinstance(value, Metric) and name.isupper()
]
