"""Tokens and cost of runs through the public API: what each run says is what the tenant's usage sums up to."""

import pytest
from e2e.conftest import PRICED_MODEL
from public_api import Api, type_of
from weft.usage.v1 import usage_service_pb2 as pb


async def usage_of(api: Api, *groups: pb.UsageDimension.ValueType, **fields: object) -> list[pb.UsageRow]:
    request = pb.QueryUsageRequest(group_by=groups, **fields)  # type: ignore[arg-type]
    return list((await api.usage.QueryUsage(request, metadata=api.metadata, timeout=10)).rows)


@pytest.mark.row("E2")
async def test_runs_cost_their_tokens_and_usage_is_the_sum_of_them(api: Api) -> None:
    tool, sums = "create_task", pb.UsageRow()
    priced = await api.make_agent(PRICED_MODEL, tools=[tool])
    unpriced = await api.make_agent("scripted:count=3")
    texts = ("hello", 'Create a task "Sweep the floor".', "hello again")
    for agent_id, text in zip((priced, priced, unpriced), texts, strict=True):
        run_id = (await api.initiate(text, agent_id=agent_id)).run_id
        events, run = await api.events(run_id), await api.get_run(run_id)
        told = [event.usage_updated.usage for event in events if type_of(event) == "usage_updated"]
        assert told[-1] == run.usage, "watchers are told what is kept"
        tokens = run.usage.input_tokens + 3 * run.usage.output_tokens
        assert run.usage.cost_micros == (2 * tokens if agent_id == priced else 0)
        assert run.usage.unpriced_model_calls == (0 if agent_id == priced else run.usage.model_calls)
        sums.runs += 1
        for name in ("model_calls", "unpriced_model_calls", "input_tokens", "output_tokens", "cost_micros"):
            setattr(sums, name, getattr(sums, name) + getattr(run.usage, name))

    assert sums.cost_micros > 0
    assert await usage_of(api) == [sums]
    by_model = {row.model: row for row in await usage_of(api, pb.USAGE_DIMENSION_MODEL)}
    assert by_model.keys() == {PRICED_MODEL, "scripted:count=3"}
    assert by_model[PRICED_MODEL].cost_micros == sums.cost_micros
    called = await api.usage.QueryToolUsage(pb.QueryToolUsageRequest(), metadata=api.metadata, timeout=10)
    assert list(called.rows) == [pb.ToolUsageRow(tool=tool, outcome=pb.TOOL_OUTCOME_SUCCEEDED, tool_calls=1)]
