"""The content of an agent: defaults filled in, and changed by parts."""

from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Final

from google.protobuf.field_mask_pb2 import FieldMask
from weft.agents.v1 import agent_pb2 as pb
from weft.runs.v1 import run_pb2 as runs_pb

from weft_threads.agents.agent import StoredSpec

MAX_MODEL_CALLS: Final = 5
MAX_TOOL_CALLS_PER_TURN: Final = 16
MAX_TRIES: Final = 3
CONTEXT_LIMIT_TOKENS: Final = 100_000
RUN_TIMEOUT: Final = timedelta(seconds=300)
QUEUE_TIMEOUT: Final = timedelta(hours=24)
MODEL_CALL_TIMEOUT: Final = timedelta(seconds=300)

# How SQL bounds the context that a claim reads: it has bytes, not tokens. English has about four to a token.
BYTES_PER_TOKEN: Final = 4

_STRATEGIES: Final = {
    runs_pb.BUSY_STRATEGY_ENQUEUE: "enqueue",
    runs_pb.BUSY_STRATEGY_MERGE: "merge",
    runs_pb.BUSY_STRATEGY_REJECT: "reject",
}


def stored(spec: pb.AgentSpec) -> StoredSpec:
    """Return the spec as it is kept, every limit filled in."""
    filled = pb.AgentSpec()
    filled.CopyFrom(spec)
    _fill(filled.limits)
    filled.busy_strategy = filled.busy_strategy or runs_pb.BUSY_STRATEGY_ENQUEUE
    return StoredSpec(
        spec=filled.SerializeToString(deterministic=True),
        busy_strategy=_STRATEGIES[filled.busy_strategy],
        run_timeout=filled.limits.run_timeout.ToTimedelta(),
        queue_timeout=filled.limits.queue_timeout.ToTimedelta(),
        context_bytes=filled.limits.context_limit_tokens * BYTES_PER_TOKEN,
        tools=tuple(filled.tools),
    )


def changed_by(spec: pb.AgentSpec, fields: Collection[str]) -> Callable[[bytes], StoredSpec]:
    """Return what makes a new version: `fields` of `spec` replace those of the old one; none means all."""

    def change(old: bytes) -> StoredSpec:
        if not fields:
            return stored(spec)
        new = pb.AgentSpec.FromString(old)
        for field in fields:
            new.ClearField(field)  # type: ignore[arg-type]  # checked against the contract before
        FieldMask(paths=fields).MergeMessage(spec, new)
        return stored(new)

    return change


def _fill(limits: pb.AgentLimits) -> None:
    limits.max_model_calls = limits.max_model_calls or MAX_MODEL_CALLS
    limits.max_tool_calls_per_turn = limits.max_tool_calls_per_turn or MAX_TOOL_CALLS_PER_TURN
    limits.max_tries = limits.max_tries or MAX_TRIES
    limits.context_limit_tokens = limits.context_limit_tokens or CONTEXT_LIMIT_TOKENS
    if not limits.HasField("run_timeout"):
        limits.run_timeout.FromTimedelta(RUN_TIMEOUT)
    if not limits.HasField("queue_timeout"):
        limits.queue_timeout.FromTimedelta(QUEUE_TIMEOUT)
    if not limits.HasField("model_call_timeout"):
        limits.model_call_timeout.FromTimedelta(MODEL_CALL_TIMEOUT)


def allowed_tools(spec: bytes) -> frozenset[str]:
    return frozenset(pb.AgentSpec.FromString(spec).tools)
