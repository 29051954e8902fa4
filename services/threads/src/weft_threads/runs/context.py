"""From rows to the context that a runner is given, and back. The decisions are in transcript.py."""

from collections.abc import Iterable
from typing import Any, Protocol
from uuid import UUID

from weft.runs.v1 import run_queue_service_pb2 as queue_pb
from weft.threads.v1 import attachment_pb2, message_pb2

from weft_threads.runs import transcript as t

ROLES = {
    "user": message_pb2.ROLE_USER,
    "assistant": message_pb2.ROLE_ASSISTANT,
    "system": message_pb2.ROLE_SYSTEM,
    "tool": message_pb2.ROLE_TOOL,
}


class ContextRows(Protocol):
    """`messages` and `runs` of the schema's run_context."""

    def __getitem__(self, name: str) -> Any: ...


def transcript_of(rows: ContextRows, run_id: UUID) -> t.Transcript:
    """Return the transcript that a run's next model call is given."""
    messages = (
        t.StoredMessage(
            message_id=row["message_id"],
            turn=row["turn"],
            index=row["index"],
            role=row["role"],
            parts=parts_from(row["content"]),
            run_id=row["run_id"],
            step=row["step"],
            is_incomplete=row["is_incomplete"],
        )
        for row in rows["messages"]
    )
    return t.transcript(messages, (t.TurnRun(*row) for row in rows["runs"]), run_id)


def parts_from(content: bytes) -> tuple[t.Part, ...]:
    parsed = message_pb2.MessageContent.FromString(content)
    return tuple(_part_from(part) for part in parsed.parts)


def _part_from(part: message_pb2.Part) -> t.Part:
    match part.WhichOneof("content"):
        case "tool_call":
            call = part.tool_call
            return t.ToolCall(call.call_id, call.name, call.arguments_json, call.index)
        case "tool_result":
            result = part.tool_result
            return t.ToolResult(
                result.call_id, result.name, result.content, result.index, result.is_error, result.outcome_unknown
            )
        case "attachment":
            return _attachment_from(part.attachment)
        case _:
            return t.Text(part.text)


def _attachment_from(file: attachment_pb2.Attachment) -> t.Attachment:
    return t.Attachment(
        attachment_id=file.attachment_id,
        name=file.name,
        media_type=file.media_type,
        size_bytes=file.size_bytes,
        text=file.text if file.state == attachment_pb2.Attachment.STATE_READY else None,
        failure=file.failure.message if file.state == attachment_pb2.Attachment.STATE_FAILED else None,
        is_truncated=file.is_truncated,
    )


def context_to_proto(messages: Iterable[t.ContextMessage]) -> list[message_pb2.ContextMessage]:
    return [
        message_pb2.ContextMessage(role=ROLES[message.role], parts=[part_to_proto(part) for part in message.parts])
        for message in messages
    ]


def part_to_proto(part: t.Part) -> message_pb2.Part:
    match part:
        case t.ToolCall():
            return message_pb2.Part(tool_call=tool_call_to_proto(part))
        case t.ToolResult():
            return message_pb2.Part(
                tool_result=message_pb2.ToolResult(
                    call_id=part.call_id,
                    name=part.name,
                    content=part.content,
                    index=part.index,
                    is_error=part.is_error,
                    outcome_unknown=part.outcome_unknown,
                )
            )
        case t.Attachment():
            return message_pb2.Part(text=t.shown(part))
        case t.Text():
            return message_pb2.Part(text=part.text)


def tool_call_to_proto(call: t.ToolCall) -> message_pb2.ToolCall:
    return message_pb2.ToolCall(
        call_id=call.call_id, name=call.name, arguments_json=call.arguments_json, index=call.index
    )


def unread_to_proto(unread: Iterable[t.Attachment]) -> list[queue_pb.PendingAttachment]:
    return [
        queue_pb.PendingAttachment(
            attachment_id=each.attachment_id, name=each.name, media_type=each.media_type, size_bytes=each.size_bytes
        )
        for each in unread
    ]


def pending_to_proto(pending: Iterable[t.PendingCall]) -> list[queue_pb.PendingToolCall]:
    return [
        queue_pb.PendingToolCall(step=each.step, index=each.call.index, call=tool_call_to_proto(each.call))
        for each in pending
    ]
