"""weft.threads.v1.AttachmentService."""

from collections.abc import AsyncIterator

from weft.threads.v1 import attachment_pb2, attachment_service_pb2_grpc
from weft.threads.v1 import attachment_service_pb2 as pb
from weft_core.ids import parse_id
from weft_grpckit.context import Context, caller_of

from weft_threads.attachments.attachment import Extracted, Failed
from weft_threads.attachments.attachments import Attachments

PIECE_BYTES = 1 << 20


class AttachmentServicer(attachment_service_pb2_grpc.AttachmentServiceServicer):
    def __init__(self, attachments: Attachments) -> None:
        self._attachments = attachments

    async def ReadAttachment(
        self, request: pb.ReadAttachmentRequest, context: Context
    ) -> AsyncIterator[pb.ReadAttachmentResponse]:
        caller, attachment_id = caller_of(context), parse_id("att", request.attachment_id)
        run_id = parse_id("run", request.run_id)
        file = await self._attachments.describe(caller, run_id, request.epoch, attachment_id)
        for start in range(0, file.size_bytes, PIECE_BYTES):
            piece = await self._attachments.read_piece(caller, attachment_id, start, PIECE_BYTES)
            yield pb.ReadAttachmentResponse(content=piece)
        end = pb.AttachmentEnd(size_bytes=file.size_bytes, sha256=file.sha256)
        yield pb.ReadAttachmentResponse(end=end)

    async def FinishAttachment(
        self, request: pb.FinishAttachmentRequest, context: Context
    ) -> pb.FinishAttachmentResponse:
        await self._attachments.finish(
            caller_of(context),
            parse_id("run", request.run_id),
            request.epoch,
            parse_id("att", request.attachment_id),
            _outcome_from(request),
        )
        return pb.FinishAttachmentResponse()


def _outcome_from(request: pb.FinishAttachmentRequest) -> Extracted | Failed:
    if request.WhichOneof("outcome") == "extracted":
        found = request.extracted
        return Extracted(found.text, found.is_truncated, found.media_type)
    reason = attachment_pb2.AttachmentFailure.Reason.Name(request.failure.reason)
    return Failed(reason.removeprefix("REASON_").lower(), request.failure.message)
