"""A whole Weft, two of each service, that sends spans to a collector, is scraped, and logs JSON."""

from collections.abc import AsyncIterator, Iterator

import pytest
from public_api import Api, new_tenant
from telemetry_world import MEMBERS, SERVICES, Watched, free_ports
from weft_cli.stack import Stack
from weft_testkit.otlp_receiver import OtlpReceiver


@pytest.fixture(scope="session")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    ports = free_ports(MEMBERS)
    with OtlpReceiver() as receiver:
        everywhere = {
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_METRICS_EXPORTER": "otlp,prometheus",
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "OTEL_METRIC_EXPORT_INTERVAL": "1000",
            "WEFT_LOG_FORMAT": "json",
            "WEFT_STRICT_REASONS": "1",
            "WEFT_TOOL_PLUGINS": "weft_testkit.effect_tools:effect_tools",
            "WEFT_TEST_EFFECTS_FILE": str(tmp_path_factory.mktemp("effects") / "effects.txt"),
        }
        each = {name: {"OTEL_EXPORTER_PROMETHEUS_PORT": str(port)} for name, port in ports.items()}
        # By the name of a kind all its replicas would get the port: the first of each comes last.
        firsts = {name: each.pop(name) for name in SERVICES}
        seconds = {f"{name}-2": each[f"{name}-2"] for name in SERVICES}
        with Stack(replicas=2, env={"*": everywhere, **firsts, **seconds}) as stack:
            yield Watched(stack, receiver, ports)


@pytest.fixture
async def api(watched: Watched) -> AsyncIterator[Api]:
    async with new_tenant([watched.stack.address("gateway")], watched.stack.operator_key) as opened:
        yield opened
