"""What Prometheus scrapes of each service, and what their logs look like to a machine."""

import json
import urllib.request
from collections.abc import Iterable

import pytest
from public_api import Api, type_of
from telemetry_world import SERVICES, Watched
from weft_cli.stack.ports import METRICS_OFFSET

EVERYWHERE = {"weft_loop_lag_seconds_count", "weft_rpc_server_active_calls", "process_resident_memory_bytes"}
SERVED, MADE = "rpc_server_call_duration_seconds_count", "rpc_client_call_duration_seconds_count"
OF_SERVICE = {
    "gateway": {SERVED, MADE, "weft_live_watches", "weft_live_watched"},
    "threads": {
        SERVED,
        "weft_run_duration_seconds_count",
        "weft_run_queue_time_seconds_count",
        "weft_queue_claim_latency_seconds_count",
        "weft_queue_ready_runs",
        "weft_queue_oldest_age_seconds",
        "db_client_connection_count",
        "db_client_connection_max",
        "db_client_connection_wait_time_seconds_count",
        "weft_live_dropped_total",
    },
    "agent-runner": {
        MADE,
        "weft_model_cost_total",
        "weft_runner_active_runs",
        "weft_runner_slots",
        "weft_lane_entries_count",
        "weft_lane_commit_duration_seconds_count",
        "weft_lane_waiting_bytes",
        "gen_ai_client_inference_duration_seconds_count",
        "gen_ai_client_inference_time_to_first_chunk_seconds_count",
        "gen_ai_client_inference_usage_input_tokens_total",
        "gen_ai_execute_tool_duration_seconds_count",
        "gen_ai_invoke_agent_duration_seconds_count",
    },
    "tools": {SERVED, MADE, "weft_tool_duration_seconds_count"},
}


def scraped(watched: Watched, service: str) -> dict[str, float]:
    """Return the sums over all label values, over both replicas of a service."""
    sums: dict[str, float] = {}
    for line in lines_of(watched, service):
        name, value = line.partition("{")[0].split()[0], float(line.rsplit(" ", 1)[1])
        sums[name] = sums.get(name, 0) + value
    return sums


def lines_of(watched: Watched, service: str) -> Iterable[str]:
    for name in (service, f"{service}-2"):
        with urllib.request.urlopen(
            f"http://127.0.0.1:{watched.stack.ports[name] + METRICS_OFFSET}/metrics", timeout=10
        ) as page:
            yield from (line for line in page.read().decode().splitlines() if not line.startswith("#"))


@pytest.fixture
async def a_tool_run(api: Api) -> str:
    agent = await api.make_agent("scripted:tag=metrics", tools=["create_task"])
    made = await api.initiate('call create_task {"title": "Water the roses"}', agent_id=agent)
    assert type_of((await api.events(made.run_id))[-1]) == "run_succeeded"
    return made.run_id


@pytest.mark.row("E9")
async def test_prometheus_finds_calls_runs_tokens_and_tool_use_at_each_service(
    watched: Watched, a_tool_run: str
) -> None:
    for service in SERVICES:
        found = scraped(watched, service)
        wanted = EVERYWHERE | OF_SERVICE[service]
        assert wanted <= found.keys(), (service, sorted(wanted - found.keys()))
        assert all(found[name] > 0 for name in wanted if name.endswith("_seconds_count")), found
    tool_lines = [line for line in lines_of(watched, "tools") if line.startswith("weft_tool_duration_seconds_count")]
    labels = 'gen_ai_tool_name="create_task"', 'weft_tool_outcome="SUCCEEDED"', 'weft_tenant_id="ten_'
    assert any(all(label in line for label in labels) for line in tool_lines), tool_lines


async def test_a_collector_gets_the_same_metrics(watched: Watched, a_tool_run: str) -> None:
    wanted = {(service, "rpc.server.call.duration") for service in SERVICES if service != "agent-runner"}
    wanted.add(("agent-runner", "gen_ai.client.inference.duration"))
    assert watched.receiver.wait_for(lambda: wanted <= watched.receiver.metric_names)


async def test_each_log_line_is_an_object_and_names_run_thread_tenant_and_trace(watched: Watched, api: Api) -> None:
    agent = await api.make_agent("scripted:status=500,fail_first=1,tag=logs")
    made = await api.initiate("hello", agent_id=agent)
    assert type_of((await api.events(made.run_id))[-1]) == "run_succeeded"
    told = []
    for service in (*SERVICES, "agent-runner-2"):
        lines = [json.loads(line) for line in watched.stack.log(service).read_text().splitlines()]
        assert lines
        assert all(line["service"] == service.removesuffix("-2") for line in lines)
        told += [line for line in lines if line.get("run_id") == made.run_id]
    assert told, "the failed try is logged"
    for line in told:
        assert (line["thread_id"], line["level"]) == (made.thread_id, "WARNING")
        assert line["tenant_id"].startswith("ten_")
        assert len(line["trace_id"]) == 32
        assert len(line["span_id"]) == 16
