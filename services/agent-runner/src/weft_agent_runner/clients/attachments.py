"""The files of messages, from threads."""

import hashlib

import grpc
from weft.threads.v1 import attachment_pb2, attachment_service_pb2_grpc
from weft.threads.v1 import attachment_service_pb2 as pb
from weft_grpckit.tokens import token_metadata

from weft_agent_runner.clients.peer_errors import peer_errors
from weft_agent_runner.domain.attachment import Attachment, Extracted, Extraction
from weft_agent_runner.domain.ports import PeerUnavailableError
from weft_agent_runner.domain.run import ClaimedRun

_READ_SECONDS = 30.0
_CALL_SECONDS = 10.0


class GrpcAttachments:
    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = attachment_service_pb2_grpc.AttachmentServiceStub(channel)

    async def read(self, run: ClaimedRun, attachment: Attachment) -> bytes:
        request = pb.ReadAttachmentRequest(
            run_id=run.key.run_id, epoch=run.key.epoch, attachment_id=attachment.attachment_id
        )
        call = self._stub.ReadAttachment(request, timeout=_READ_SECONDS, metadata=token_metadata(run.token))
        content, digest, end = bytearray(), hashlib.sha256(), None
        try:
            with peer_errors():
                async for response in call:
                    content += response.content
                    digest.update(response.content)  # by pieces: of 15 MiB at once it would hold up the event loop
                    end = response.end if response.HasField("end") else end
        finally:
            if not call.done():
                call.cancel()
        if end is None or end.sha256 != digest.digest():
            raise PeerUnavailableError("a file came incomplete")
        return bytes(content)

    async def finish(self, run: ClaimedRun, attachment: Attachment, extraction: Extraction) -> None:
        request = pb.FinishAttachmentRequest(
            run_id=run.key.run_id, epoch=run.key.epoch, attachment_id=attachment.attachment_id
        )
        if isinstance(extraction, Extracted):
            request.extracted.text, request.extracted.is_truncated = extraction.text, extraction.is_truncated
            request.extracted.media_type = extraction.media_type
        else:
            request.failure.reason = attachment_pb2.AttachmentFailure.Reason.Value(f"REASON_{extraction.reason}")
            request.failure.message = extraction.message
        with peer_errors():
            await self._stub.FinishAttachment(request, timeout=_CALL_SECONDS, metadata=token_metadata(run.token))
