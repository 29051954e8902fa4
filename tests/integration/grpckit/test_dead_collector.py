"""A service whose collector is away, or takes everything and never answers."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from weft_cli.stack.ports import HOST

PROGRAM = """
from weft_grpckit.program import run_service
from weft_grpckit.server import WeftServer
from weft_grpckit.settings import ServerSettings
from weft_telemetry.tracing import span

async def compose(program):
    for _ in range(10_000):
        with span("more than the queue holds"):
            pass
    print(await program.serve(WeftServer([], stopping=program.stopping), "127.0.0.1:0"), flush=True)

run_service("a-service", ServerSettings(token_key="5a" * 32, stop_grace_seconds=2), compose)
"""
STOPS_WITHIN_SECONDS = 15.0


@contextmanager
def silent_port(*, listens: bool) -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        if listens:
            taken.listen()
        yield taken.getsockname()[1]


@pytest.mark.parametrize("listens", [False, True], ids=["refuses", "never answers"])
def test_a_dead_collector_changes_nothing(listens: bool) -> None:
    with silent_port(listens=listens) as port:
        env = {
            **os.environ,
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{HOST}:{port}",
            "OTEL_BSP_SCHEDULE_DELAY": "10",
            "OTEL_METRIC_EXPORT_INTERVAL": "50",
        }
        with subprocess.Popen(
            [sys.executable, "-c", PROGRAM], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            with grpc.insecure_channel(f"{HOST}:{int(process.stdout.readline())}") as channel:
                stub: Any = health_pb2_grpc.HealthStub(channel)
                for _ in range(20):
                    answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=5)
                    assert answer.status == health_pb2.HealthCheckResponse.SERVING
            process.send_signal(signal.SIGTERM)
            _, told = process.communicate(timeout=STOPS_WITHIN_SECONDS)
    assert process.returncode == 0, told
    assert told.count("Failed to export") <= 4, told
    assert "Traceback" not in told
