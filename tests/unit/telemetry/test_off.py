"""Telemetry that is off costs nothing. (redis-py imports the metrics of the SDK by itself, where it is installed.)"""

import subprocess
import sys
import tracemalloc
from typing import Any

import pytest
from sqlalchemy.pool import AsyncAdaptedQueuePool
from weft_agent_runner.telemetry.lane import observed_committer
from weft_agent_runner.telemetry.model import observed_model
from weft_agent_runner.telemetry.tools import observed_tools
from weft_telemetry import names
from weft_telemetry.metrics import recorder
from weft_telemetry.rpc import MadeCalls
from weft_telemetry.tracing import current_traceparent
from weft_threads.store.pool_telemetry import pool_class
from weft_tools.telemetry import watched

SERVICES = ("weft_gateway.server", "weft_threads.server", "weft_agent_runner.server", "weft_tools.server")
PROGRAM = """
import os, sys
from weft_telemetry.settings import TelemetrySettings
from weft_telemetry.setup import set_up
import {module}
set_up("a service", TelemetrySettings())
ours = "opentelemetry.sdk.trace", "opentelemetry.exporter", "prometheus"
print(sorted(name for name in sys.modules if name.startswith(ours)))
"""


@pytest.mark.parametrize("module", SERVICES)
def test_a_service_that_nobody_watches_does_not_import_the_sdk(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(module=module)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_recording_allocates_nothing_when_nobody_counts() -> None:
    record = recorder(names.RPC_SERVER_DURATION)
    record(1.0, "method", "OK")
    tracemalloc.start()
    try:
        before = tracemalloc.take_snapshot()
        for _ in range(10_000):
            record(1.0, "method", "OK")
            current_traceparent()
        grown = tracemalloc.take_snapshot().compare_to(before, "filename")
    finally:
        tracemalloc.stop()
    assert sum(each.size_diff for each in grown if "weft_telemetry" in str(each.traceback)) == 0


def test_nothing_is_put_around_models_tools_commits_and_pools_when_nobody_watches() -> None:
    wrappers: list[Any] = [observed_model, observed_tools, observed_committer, watched]
    thing = object()
    assert all(wrap(thing) is thing for wrap in wrappers)
    assert pool_class("app") is AsyncAdaptedQueuePool
    assert MadeCalls.find() is None
