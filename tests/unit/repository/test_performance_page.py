"""docs/performance.md names the sizes of pools, queues and workers as the services know them."""

import re
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings
from weft_agent_runner.settings import RunnerSettings
from weft_gateway.settings import GatewaySettings
from weft_threads.settings import Settings as ThreadsSettings

PAGE = Path(__file__).resolve().parents[3] / "docs" / "performance.md"
CLASSES: dict[str, type[BaseSettings]] = {
    "gateway": GatewaySettings,
    "threads": ThreadsSettings,
    "agent-runner": RunnerSettings,
}
ROW = re.compile(r"^\| (\S+) \| `WEFT_(\w+)` \| `([\d.]+)` \|", re.MULTILINE)
SIZES = {
    ("gateway", "max_calls"),
    ("threads", "app_connections"),
    ("threads", "queue_connections"),
    ("agent-runner", "max_runs"),
    ("agent-runner", "max_buffered_bytes"),
    ("agent-runner", "max_context_bytes"),
}


@pytest.mark.row("D5")
def test_performance_page_names_every_size_with_its_default() -> None:
    documented = {(service, name.lower()): float(value) for service, name, value in ROW.findall(PAGE.read_text())}
    assert documented.keys() == SIZES
    for (service, name), value in documented.items():
        assert value == CLASSES[service].model_fields[name].default, f"{service}: {name}"
