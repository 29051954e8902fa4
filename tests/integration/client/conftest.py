"""A gateway on a loopback port that does to each stream what a test says, and both clients on it."""

from collections.abc import AsyncIterator

import grpc
import pytest
from client_world import Client, FakeGateway
from weft.gateway.v1 import agent_gateway_service_pb2_grpc as gateway_grpc
from weft_client import AsyncWeft, Patience, Weft


@pytest.fixture
async def gateway() -> AsyncIterator[FakeGateway]:
    server, servicer = grpc.aio.server(options=(("grpc.so_reuseport", 0),)), FakeGateway()
    gateway_grpc.add_AgentGatewayServicer_to_server(servicer, server)
    servicer.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    yield servicer
    await server.stop(None)


PATIENCE = Patience(silence_seconds=1.0)


@pytest.fixture(params=["sync", "async"])
async def client(gateway: FakeGateway, request: pytest.FixtureRequest) -> AsyncIterator["Client"]:
    if request.param == "async":
        async with AsyncWeft(gateway.address, "key", patience=PATIENCE) as opened:
            yield Client(opened)
    else:
        with Weft(gateway.address, "key", patience=PATIENCE) as closed:
            yield Client(closed)
