"""Events as bytes. They are never decoded here, only put one behind the other into responses.

Source: protobuf encoding, https://protobuf.dev/programming-guides/encoding/: each element of a
repeated message field is a tag, a length and the message; two serialized messages joined are their merge.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from weft.gateway.v1 import agent_gateway_service_pb2 as pb
from weft.runs.v1.run_log_service_pb2 import LiveBatch

_EVENTS_TAG = bytes([pb.RunEventsResponse.DESCRIPTOR.fields_by_name["events"].number << 3 | 2])

_INITIATED_TAG = bytes([pb.StreamAgentResponse.DESCRIPTOR.fields_by_name["initiated"].number << 3 | 2])


@dataclass(frozen=True, slots=True)
class Batch:
    """Events of one run without a gap, and the response that shows all of them, shared by all watchers."""

    first_seq: int
    events: Sequence[bytes]
    response: bytes
    is_terminal: bool

    @property
    def last_seq(self) -> int:
        return self.first_seq + len(self.events) - 1

    def response_from(self, seq: int) -> bytes:
        """Return the response that shows the events from `seq` on."""
        return self.response if seq <= self.first_seq else response_of(self.events[seq - self.first_seq :])


def batch_of(frame: bytes) -> Batch:
    """Return what a serialized LiveBatch holds. Raises: DecodeError."""
    live = LiveBatch.FromString(frame)
    return Batch(live.first_seq, live.events, response_of(live.events), live.is_terminal)


def response_of(events: Sequence[bytes]) -> bytes:
    """Return a serialized RunEventsResponse of serialized RunEvents; a StreamAgentResponse has the same bytes."""
    pieces: list[bytes] = []
    for event in events:
        pieces += (_EVENTS_TAG, varint(len(event)), event)
    return b"".join(pieces)


def events_of(response: bytes) -> list[bytes]:
    """Return the serialized RunEvents of what `response_of` made."""
    events: list[bytes] = []
    at = 0
    while at < len(response):
        length, at = _read_varint(response, at + len(_EVENTS_TAG))
        events.append(response[at : at + length])
        at += length
    return events


def keepalive(run_id: str, head_seq: int) -> bytes:
    """Return a serialized RunEventsResponse that says that the stream lives."""
    response = pb.RunEventsResponse()
    response.keepalive.run_id, response.keepalive.head_seq = run_id, head_seq
    response.keepalive.time.FromNanoseconds(time.time_ns())
    return response.SerializeToString()


def initiated(response: bytes) -> bytes:
    """Return a serialized StreamAgentResponse of a serialized InitiateAgentResponse."""
    return b"".join((_INITIATED_TAG, varint(len(response)), response))


def successor_of(response: bytes) -> str:
    """Return the run that took over the one whose last events these are; "" where none did."""
    last = pb.RunEventsResponse.FromString(response).events[-1]
    return last.run_superseded.successor_run_id


def varint(value: int) -> bytes:
    """Return a number as protobuf writes it."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number that stands at a place, and the place behind it."""
    value = shift = 0
    while data[at] > 0x7F:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
    return value | data[at] << shift, at + 1
