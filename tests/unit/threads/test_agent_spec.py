"""The content of an agent."""

from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from weft.agents.v1 import agent_pb2 as pb
from weft.runs.v1 import run_pb2
from weft_threads.agents.spec import allowed_tools, changed_by, stored


def test_defaults_are_filled_in_and_what_is_given_stays() -> None:
    kept = stored(pb.AgentSpec(model="m", limits=pb.AgentLimits(max_tries=1, run_timeout=Duration(seconds=9))))
    limits = pb.AgentSpec.FromString(kept.spec).limits
    assert (limits.max_tries, limits.max_model_calls, limits.context_limit_tokens) == (1, 5, 100_000)
    assert (kept.run_timeout, kept.queue_timeout) == (timedelta(seconds=9), timedelta(hours=24))
    assert (kept.busy_strategy, kept.context_bytes) == ("enqueue", 400_000)


def test_change_of_named_fields_leaves_the_others() -> None:
    old = stored(pb.AgentSpec(model="m", tools=["a"], busy_strategy=run_pb2.BUSY_STRATEGY_MERGE))
    given = pb.AgentSpec(model="n", tools=["b", "c"], limits=pb.AgentLimits(max_tries=7))
    new = pb.AgentSpec.FromString(changed_by(given, ["tools", "limits"])(old.spec).spec)
    assert (new.model, list(new.tools), new.busy_strategy) == ("m", ["b", "c"], run_pb2.BUSY_STRATEGY_MERGE)
    assert (new.limits.max_tries, new.limits.max_model_calls) == (7, 5)


def test_change_of_everything_forgets_the_old() -> None:
    old = stored(pb.AgentSpec(model="m", tools=["a"], busy_strategy=run_pb2.BUSY_STRATEGY_REJECT))
    new = changed_by(pb.AgentSpec(task_instructions="t"), [])(old.spec)
    assert allowed_tools(new.spec) == frozenset()
    assert new.busy_strategy == "enqueue"


def test_change_can_empty_a_field() -> None:
    old = stored(pb.AgentSpec(model="m", tools=["a"]))
    new = pb.AgentSpec.FromString(changed_by(pb.AgentSpec(), ["tools", "model"])(old.spec).spec)
    assert (list(new.tools), new.model) == ([], "")
