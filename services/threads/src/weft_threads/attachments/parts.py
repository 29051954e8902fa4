"""Files as parts of a message."""

from collections.abc import Iterable
from uuid import UUID

from weft.runs.v1 import thread_event_pb2
from weft.threads.v1 import attachment_pb2 as pb
from weft.threads.v1 import message_pb2
from weft_core.ids import format_id
from weft_core.text import storable

from weft_threads.attachments.attachment import Extracted, Failed, NewFile


def pending_part(attachment_id: UUID, file: NewFile) -> message_pb2.Part:
    return message_pb2.Part(
        attachment=pb.Attachment(
            attachment_id=format_id("att", attachment_id),
            name=file.name,
            media_type=file.media_type,
            size_bytes=len(file.content),
            state=pb.Attachment.STATE_PENDING,
        )
    )


def part_of(parts: Iterable[message_pb2.Part], attachment_id: UUID) -> pb.Attachment | None:
    """Return the file in a message, to be changed in place."""
    wanted = format_id("att", attachment_id)
    return next((part.attachment for part in parts if part.attachment.attachment_id == wanted), None)


def settle(attachment: pb.Attachment, outcome: Extracted | Failed) -> None:
    """Put what became of a file into its part."""
    if isinstance(outcome, Extracted):
        attachment.state = pb.Attachment.STATE_READY
        attachment.text, attachment.is_truncated = storable(outcome.text), outcome.is_truncated
        attachment.media_type = attachment.media_type or outcome.media_type
    else:
        attachment.state = pb.Attachment.STATE_FAILED
        attachment.failure.reason = pb.AttachmentFailure.Reason.Value(f"REASON_{outcome.reason.upper()}")
        attachment.failure.message = outcome.message


def thread_event(message_id: UUID, attachment: pb.Attachment) -> tuple[str, bytes]:
    """Return the type and the payload of the event that tells what became of a file."""
    told = pb.Attachment()
    told.CopyFrom(attachment)
    told.ClearField("text")
    message = format_id("msg", message_id)
    if attachment.state == pb.Attachment.STATE_READY:
        ready = thread_event_pb2.ThreadAttachmentReady(message_id=message, attachment=told)
        return "attachment.ready", ready.SerializeToString()
    failed = thread_event_pb2.ThreadAttachmentFailed(message_id=message, attachment=told)
    return "attachment.failed", failed.SerializeToString()
