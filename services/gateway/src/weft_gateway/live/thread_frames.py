"""Items of ThreadEvents as bytes, each made once for all who watch."""

import time
from dataclasses import dataclass
from typing import Final

from weft.gateway.v1 import agent_gateway_service_pb2 as pb
from weft.runs.v1.thread_event_pb2 import ThreadEvent

from weft_gateway.live.frames import events_of, varint


def _tag(message: type[pb.ThreadEventsResponse] | type[pb.ThreadStreamItem], name: str) -> bytes:
    return bytes([message.DESCRIPTOR.fields_by_name[name].number << 3 | 2])


_ITEMS: Final = _tag(pb.ThreadEventsResponse, "items")
_THREAD_EVENT: Final = _tag(pb.ThreadStreamItem, "thread_event")
_RUN_EVENT: Final = _tag(pb.ThreadStreamItem, "run_event")


@dataclass(frozen=True, slots=True)
class ThreadItem:
    """An event of a thread's log: what a response holds of it, and what it means for the run that goes on."""

    seq: int
    data: bytes
    started_run: str
    ended_run: str
    is_last: bool


def thread_item(event: bytes) -> ThreadItem:
    """Return the item of a serialized ThreadEvent."""
    read = ThreadEvent.FromString(event)
    return ThreadItem(
        read.seq,
        _item(_THREAD_EVENT, event),
        read.run_started.run_id,
        read.run_ended.run_id,
        read.HasField("thread_deleted"),
    )


def run_items(response: bytes) -> bytes:
    """Return the items of the events in a serialized RunEventsResponse."""
    return b"".join(_item(_RUN_EVENT, event) for event in events_of(response))


def cursor(thread_seq: int, run_id: str, run_seq: int) -> bytes:
    """Return what ends a serialized ThreadEventsResponse: where its reader is then."""
    place = pb.ThreadCursor(thread_seq=thread_seq, run_id=run_id, run_seq=run_seq)
    return pb.ThreadEventsResponse(cursor=place).SerializeToString()


def thread_keepalive(head_seq: int) -> bytes:
    """Return what begins a serialized ThreadEventsResponse that says that the stream lives."""
    response = pb.ThreadEventsResponse()
    response.keepalive.head_seq = head_seq
    response.keepalive.time.FromNanoseconds(time.time_ns())
    return response.SerializeToString()


def _item(kind: bytes, event: bytes) -> bytes:
    item = b"".join((kind, varint(len(event)), event))
    return b"".join((_ITEMS, varint(len(item)), item))
