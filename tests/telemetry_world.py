"""What telemetry tests share: a watched Weft, and the shape of its traces."""

from dataclasses import dataclass

from weft_cli.stack import Stack
from weft_testkit.otlp_receiver import OtlpReceiver, ReceivedSpan

SERVICES = ("gateway", "threads", "agent-runner", "tools")


@dataclass(frozen=True)
class Watched:
    stack: Stack
    receiver: OtlpReceiver


def parents_of(span: ReceivedSpan, spans: list[ReceivedSpan]) -> list[str]:
    """Return `service: name` of the span's ancestors, the nearest first."""
    by_id, names = {each.span_id: each for each in spans}, []
    while (parent := by_id.get(span.parent_id)) is not None:
        names.append(f"{parent.service}: {parent.name}")
        span = parent
    return names
