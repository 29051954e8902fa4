"""Threads and messages between the contract and values."""

import struct
from collections.abc import Mapping
from typing import Any, Final

from weft.threads.v1 import message_pb2 as message_pb
from weft.threads.v1 import thread_pb2 as pb
from weft.threads.v1 import thread_service_pb2 as service_pb
from weft_core.errors import FieldViolation, InvalidFieldsError
from weft_core.ids import format_id, parse_id
from weft_core.text import cut_to_code_points

from weft_threads.masks import require_filled, wanted_paths
from weft_threads.threads.thread import Message, NewThread, Place, Thread, ThreadFilter
from weft_threads.times import timestamp

# All parts of a message together; one text is bounded in the contract.
MAX_MESSAGE_BYTES: Final = 4 << 20
TITLE_LENGTH: Final = 80

_PATHS: Final = ("title", "is_active", "metadata", "agent_id", "attention")
_IMPLIED: Final = ("title", "metadata", "agent_id")
_CURSOR: Final = struct.Struct(">qq")


def thread_to_proto(thread: Thread) -> pb.Thread:
    return pb.Thread(
        thread_id=format_id("thr", thread.thread_id),
        project_id=format_id("prj", thread.project_id),
        agent_id=format_id("agt", thread.agent_id),
        title=thread.title,
        is_active=thread.is_active,
        metadata=thread.metadata,
        last_turn=thread.last_turn,
        create_time=timestamp(thread.create_time),
        update_time=timestamp(thread.update_time),
        created_by=thread.created_by,
        agent_state=pb.ThreadAgentState.Value(f"THREAD_AGENT_STATE_{thread.agent_state.upper()}"),
        attention=_attention_of(thread),
    )


def _attention_of(thread: Thread) -> pb.ThreadAttention | None:
    if thread.attention_reason is None or thread.attention_time is None:
        return None
    return pb.ThreadAttention(
        reason=pb.ThreadAttention.Reason.Value(f"REASON_{thread.attention_reason.upper()}"),
        message=thread.attention_message or "",
        time=timestamp(thread.attention_time),
    )


def new_thread_from(request: service_pb.CreateThreadRequest) -> NewThread:
    return NewThread(
        project_id=parse_id("prj", request.project_id, "project_id") if request.project_id else None,
        agent_id=parse_id("agt", request.agent_id, "agent_id") if request.agent_id else None,
        title=request.title,
        metadata=dict(request.metadata),
    )


def filter_from(request: service_pb.ListThreadsRequest) -> ThreadFilter:
    return ThreadFilter(
        project_id=parse_id("prj", request.project_id, "project_id") if request.project_id else None,
        agent_id=parse_id("agt", request.agent_id, "agent_id") if request.agent_id else None,
        is_active=request.is_active if request.HasField("is_active") else None,
        metadata=dict(request.metadata),
    )


def changes_from(request: service_pb.UpdateThreadRequest) -> Mapping[str, Any]:
    """Return the columns to change."""
    paths = wanted_paths(request, _PATHS, implied=_IMPLIED)
    require_filled(request, paths, ["agent_id"])
    changes: dict[str, Any] = {name: getattr(request, name) for name in ("title", "is_active") if name in paths}
    if "metadata" in paths:
        changes["metadata"] = dict(request.metadata)
    if "agent_id" in paths:
        changes["agent_id"] = parse_id("agt", request.agent_id, "agent_id")
    if "attention" in paths:
        changes |= {"attention_reason": None, "attention_message": None, "attention_time": None}
    return changes


def thread_bytes(thread: Thread) -> int:
    """Return about how much room a thread takes in an answer."""
    return 500 + sum(4 * (len(key) + len(value)) for key, value in thread.metadata.items())


def message_to_proto(message: Message) -> message_pb.Message:
    is_incomplete = message.is_incomplete
    return message_pb.Message(
        message_id=format_id("msg", message.message_id),
        thread_id=format_id("thr", message.thread_id),
        role=message_pb.Role.Value(f"ROLE_{message.role.upper()}"),
        parts=message_pb.MessageContent.FromString(message.content).parts,
        turn=message.turn,
        index=message.index,
        run_id="" if message.run_id is None else format_id("run", message.run_id),
        state=message_pb.Message.STATE_INCOMPLETE if is_incomplete else message_pb.Message.STATE_COMPLETE,
        create_time=timestamp(message.create_time),
        created_by=message.created_by,
    )


def role_from(role: message_pb.Role.ValueType) -> str:
    return message_pb.Role.Name(role).removeprefix("ROLE_").lower()


def content_from(request: service_pb.CreateMessageRequest) -> bytes:
    content = message_pb.MessageContent(parts=request.parts).SerializeToString(deterministic=True)
    if len(content) > MAX_MESSAGE_BYTES:
        told = f"all parts together have {len(content)} bytes; at most {MAX_MESSAGE_BYTES} are taken"
        raise InvalidFieldsError([FieldViolation("parts", told, "size")])
    return content


def first_words(request: service_pb.CreateMessageRequest) -> str:
    """Return what becomes the title of a thread without one: the beginning of the first text."""
    text = next((part.text for part in request.parts if part.text), "")
    return cut_to_code_points(" ".join(text[: 4 * TITLE_LENGTH].split()), TITLE_LENGTH)


def cursor_of(message: Message) -> bytes:
    return _CURSOR.pack(message.turn, message.index)


def place_of(cursor: bytes | None) -> Place | None:
    return None if cursor is None else Place(*_CURSOR.unpack(cursor))
