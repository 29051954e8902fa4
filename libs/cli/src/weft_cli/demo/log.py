"""What every run's log must be, whoever watched it, from wherever."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from weft.runs.v1.event_pb2 import RunEvent

from weft_cli.demo.checks import Checks

TERMINAL = frozenset({"run_succeeded", "run_failed", "run_cancelled", "run_timed_out", "run_superseded"})
LIVE_SECONDS = 1.0
LEAST_DELTAS = 3


@dataclass(frozen=True)
class Seen:
    """An event, and when it arrived by this machine's clock."""

    event: RunEvent
    arrival: float

    @property
    def kind(self) -> str:
        return self.event.WhichOneof("payload") or ""


def check_log(checks: Checks, seen: Sequence[Seen], *, after_seq: int = 0) -> None:
    """Check a watch from `after_seq` to the end."""
    seqs = [item.event.seq for item in seen]
    wanted = list(range(after_seq + 1, after_seq + 1 + len(seen)))
    checks.equal(
        "log.seq", seqs, wanted, f"{len(seen)} events, seq {after_seq + 1} to {after_seq + len(seen)} without gap"
    )
    epochs = [item.event.epoch for item in seen]
    checks.equal("log.epoch", epochs, sorted(epochs), "the epoch never goes down")
    kinds = [item.kind for item in seen]
    checks.equal(
        "log.end", [kind for kind in kinds if kind in TERMINAL], kinds[-1:], "one terminal event, the last one"
    )
    if after_seq == 0:
        checks.equal("log.begin", kinds[:1], ["run_queued"], "the first event is run.queued")


def text_of(checks: Checks, seen: Sequence[Seen], message_id: str) -> str:
    """Return what the deltas of a message say, joined; each must begin where the one before ended."""
    text = ""
    for item in seen:
        delta = item.event.message_delta
        if item.kind == "message_delta" and delta.message_id == message_id:
            if delta.offset != len(text):
                checks.equal(
                    "log.text", delta.offset, len(text), f"the delta with seq {item.event.seq} begins in its place"
                )
            text += delta.text
    return text


def check_live(checks: Checks, seen: Sequence[Seen]) -> None:
    delays = [
        item.arrival - item.event.create_time.ToNanoseconds() / 1e9 for item in seen if item.kind == "message_delta"
    ]
    checks.that("events.deltas", len(delays) >= LEAST_DELTAS, f"{len(delays)} deltas came", len(delays))
    middle = statistics.median(delays)
    checks.that(
        "events.live", middle < LIVE_SECONDS, f"{middle * 1000:.1f} ms from the commit to the watcher (median)", middle
    )


def of_kind(seen: Sequence[Seen], kind: str) -> list[RunEvent]:
    return [item.event for item in seen if item.kind == kind]
