"""weft.tenants.v1.ModelEndpointService."""

from weft.tenants.v1 import model_endpoint_service_pb2 as pb
from weft.tenants.v1 import model_endpoint_service_pb2_grpc as grpc_pb
from weft_grpckit.context import Context, caller_of

from weft_threads.model_endpoints.model_endpoints import ModelEndpoint, ModelEndpoints
from weft_threads.times import timestamp


class ModelEndpointServicer(grpc_pb.ModelEndpointServiceServicer):
    def __init__(self, endpoints: ModelEndpoints) -> None:
        self._endpoints = endpoints

    async def PutModelEndpoint(
        self, request: pb.PutModelEndpointRequest, context: Context
    ) -> pb.PutModelEndpointResponse:
        endpoint = await self._endpoints.put(caller_of(context), request.api_key)
        return pb.PutModelEndpointResponse(model_endpoint=_to_proto(endpoint))

    async def GetModelEndpoint(
        self, request: pb.GetModelEndpointRequest, context: Context
    ) -> pb.GetModelEndpointResponse:
        endpoint = await self._endpoints.find(caller_of(context))
        return pb.GetModelEndpointResponse(model_endpoint=_to_proto(endpoint) if endpoint else None)

    async def DeleteModelEndpoint(
        self, request: pb.DeleteModelEndpointRequest, context: Context
    ) -> pb.DeleteModelEndpointResponse:
        await self._endpoints.delete(caller_of(context))
        return pb.DeleteModelEndpointResponse()


def _to_proto(endpoint: ModelEndpoint) -> pb.ModelEndpoint:
    return pb.ModelEndpoint(
        api_key_suffix=endpoint.key_suffix,
        update_time=timestamp(endpoint.update_time),
        created_by=endpoint.created_by,
    )
