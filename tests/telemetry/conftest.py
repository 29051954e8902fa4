"""A whole Weft, two of each service, that sends spans to a collector, is scraped, and logs JSON."""

import json
from collections.abc import AsyncIterator, Iterator

import pytest
from public_api import Api, new_tenant
from stalls import WATCHING, assert_no_stalls
from telemetry_world import Watched
from weft_cli.stack import Stack
from weft_testkit.otlp_receiver import OtlpReceiver


@pytest.fixture(scope="session")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with OtlpReceiver() as receiver:
        everywhere = {
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_METRICS_EXPORTER": "otlp,prometheus",
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "OTEL_METRIC_EXPORT_INTERVAL": "1000",
            "WEFT_LOG_FORMAT": "json",
            "WEFT_STRICT_REASONS": "1",
            **WATCHING,
            "WEFT_TOOL_PLUGINS": "weft_testkit.effect_tools:effect_tools",
            "WEFT_TEST_EFFECTS_FILE": str(tmp_path_factory.mktemp("effects") / "effects.txt"),
        }
        prices = {"WEFT_MODEL_PRICES": json.dumps({"scripted:tag=metrics": {"input": 2, "output": 6}})}
        with Stack(replicas=2, env={"*": everywhere, "agent-runner": prices}) as stack:
            yield Watched(stack, receiver)
            assert_no_stalls(stack)


@pytest.fixture
async def api(watched: Watched) -> AsyncIterator[Api]:
    async with new_tenant([watched.stack.address("gateway")], watched.stack.operator_key) as opened:
        yield opened
