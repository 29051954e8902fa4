"""Events as bytes: what the log stores is wrapped into a serialized RunEvent without being parsed.

Source: https://protobuf.dev/programming-guides/encoding/ (a message is its fields, one after the other).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from weft.runs.v1 import event_pb2, run_log_service_pb2
from weft_core.ids import format_id

VARINT, LENGTH_DELIMITED = 0, 2
EPOCH_START = datetime(1970, 1, 1, tzinfo=UTC)

_PAYLOADS = event_pb2.RunEvent.DESCRIPTOR.oneofs_by_name["payload"].fields
# 'message.delta' → the number of RunEvent.message_delta.
FIELD_OF_TYPE: Mapping[str, int] = {field.name.replace("_", ".", 1): field.number for field in _PAYLOADS}
TERMINAL_TYPES = frozenset({"run.succeeded", "run.failed", "run.cancelled", "run.timed_out", "run.superseded"})


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """A row of the log."""

    tenant_id: UUID
    run_id: UUID
    seq: int
    epoch: int
    type: str
    is_terminal: bool
    create_time: datetime
    payload: bytes
    # Of what a function of the schema wrote.
    thread_id: UUID | None = None


def logged_events(rows: Iterable[Any] | None) -> list[LoggedEvent]:
    """Return what a function of the schema wrote (its `logged[]`)."""
    return [LoggedEvent(*row) for row in rows or ()]


def type_and_payload(event: event_pb2.RunEvent) -> tuple[str, bytes]:
    """Return type and stored bytes of an event that a runner sent.

    Raises:
        ValueError: the event has no payload.
    """
    field = event.WhichOneof("payload")
    if field is None:
        raise ValueError("an event without a payload")
    return field.replace("_", ".", 1), getattr(event, field).SerializeToString()


def encode_event(event: LoggedEvent) -> bytes:
    """Return the serialized RunEvent."""
    run_id = format_id("run", event.run_id).encode()
    since = event.create_time - EPOCH_START
    seconds, nanos = since.days * 86_400 + since.seconds, since.microseconds * 1_000
    time = _integer(1, seconds) + (_integer(2, nanos) if nanos else b"")
    return b"".join(
        (
            _bytes(1, run_id),
            _integer(2, event.seq),
            _integer(3, event.epoch) if event.epoch else b"",
            _bytes(4, time),
            _bytes(FIELD_OF_TYPE[event.type], event.payload),
        )
    )


def live_batches(events: Sequence[LoggedEvent]) -> list[tuple[str, bytes]]:
    """Return run id and serialized LiveBatch of each run of these events, whose seqs follow each other."""
    by_run: dict[UUID, list[LoggedEvent]] = {}
    for event in events:
        by_run.setdefault(event.run_id, []).append(event)
    return [(format_id("run", run_id), _live_batch(run_id, batch)) for run_id, batch in by_run.items()]


def _live_batch(run_id: UUID, events: Sequence[LoggedEvent]) -> bytes:
    return run_log_service_pb2.LiveBatch(
        run_id=format_id("run", run_id),
        first_seq=events[0].seq,
        events=[encode_event(event) for event in events],
        is_terminal=events[-1].is_terminal,
    ).SerializeToString()


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _integer(field: int, value: int) -> bytes:
    return _varint(field << 3 | VARINT) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | LENGTH_DELIMITED) + _varint(len(value)) + value
