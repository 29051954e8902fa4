"""AgentGateway.StreamAgent: a run is started, and streamed from its first event."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, Final

import grpc
from weft.gateway.v1 import agent_gateway_service_pb2 as pb
from weft.runs.v1 import admission_service_pb2 as admission_pb
from weft_grpckit.context import Context, caller_of
from weft_grpckit.contract import contract_of
from weft_grpckit.interceptors.access import check_scope
from weft_grpckit.interceptors.validation import validate

from weft_gateway.forwarding import pass_on, passed_metadata
from weft_gateway.live.frames import initiated
from weft_gateway.live.handlers import stream_handler
from weft_gateway.live.run_stream import RunStreams

PATH: Final = "/weft.gateway.v1.AgentGateway/StreamAgent"
# Beside the method's own scope: it shows the run.
READ_SCOPE: Final = "runs.read"
_ADMISSION: Final = admission_pb.DESCRIPTOR.services_by_name["AdmissionService"]

# Behind a serialized request: two serialized messages joined are their merge.
_WANTS_FIRST_EVENT: Final = admission_pb.InitiateRunRequest(wants_first_event=True).SerializeToString()


class StreamAgent:
    """Hands the message over as InitiateAgent does, then serves a watch."""

    def __init__(self, threads: grpc.aio.Channel, streams: RunStreams) -> None:
        self._initiate: Any = threads.unary_unary(contract_of(_ADMISSION.methods_by_name["InitiateRun"]).path)
        self._streams = streams

    def handler(self) -> grpc.GenericRpcHandler:
        return stream_handler(PATH, self._serve, pb.StreamAgentRequest.FromString)

    async def _serve(self, request: pb.StreamAgentRequest, context: Context) -> AsyncIterator[bytes]:
        caller = caller_of(context)
        check_scope(READ_SCOPE, caller.scopes)
        validate(request)
        made = await self._initiated(request.initiate.SerializeToString() + _WANTS_FIRST_EVENT, context)
        first_event = made.first_event
        made.ClearField("first_event")
        yield initiated(made.SerializeToString())
        stream: Any = self._streams.follow(
            caller, made.run_id, 0, follow_successor=request.follow_successor, first_event=first_event
        )
        async with aclosing(stream) as responses:
            async for response in responses:
                yield response

    async def _initiated(self, request: bytes, context: Context) -> admission_pb.InitiateRunResponse:
        """Take a serialized InitiateRunRequest: InitiateAgent's messages are InitiateRun's, number by number."""
        call = self._initiate(request, metadata=passed_metadata(context))
        try:
            return admission_pb.InitiateRunResponse.FromString(await call)
        except grpc.aio.AioRpcError as error:
            await pass_on(error, context)
        finally:
            call.cancel()
