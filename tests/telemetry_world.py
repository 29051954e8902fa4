"""What telemetry tests share: a watched Weft, and the shape of its traces."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass

from weft_cli.stack import Stack
from weft_testkit.otlp_receiver import OtlpReceiver, ReceivedSpan

SERVICES = ("gateway", "threads", "agent-runner", "tools")
MEMBERS = [name for service in SERVICES for name in (service, f"{service}-2")]


@dataclass(frozen=True)
class Watched:
    stack: Stack
    receiver: OtlpReceiver
    metrics_ports: Mapping[str, int]


def free_ports(names: list[str]) -> dict[str, int]:
    sockets = {name: socket.socket() for name in names}
    for each in sockets.values():
        each.bind(("127.0.0.1", 0))
    ports = {name: each.getsockname()[1] for name, each in sockets.items()}
    for each in sockets.values():
        each.close()
    return ports


def parents_of(span: ReceivedSpan, spans: list[ReceivedSpan]) -> list[str]:
    """Return `service: name` of the span's ancestors, the nearest first."""
    by_id, names = {each.span_id: each for each in spans}, []
    while (parent := by_id.get(span.parent_id)) is not None:
        names.append(f"{parent.service}: {parent.name}")
        span = parent
    return names
