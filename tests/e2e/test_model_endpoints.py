"""Runs of a tenant with a key of its own pay with it; the model's server, which is no part of Weft, is the witness."""

import hashlib
from typing import Any

import pytest
from public_api import Api
from weft.tenants.v1 import model_endpoint_service_pb2 as pb
from weft.tenants.v1 import model_endpoint_service_pb2_grpc as grpc_pb
from weft_cli.demo.model_record import ModelRecord
from weft_cli.stack import Stack

KEY = "sk-of-a-tenant-0123456789"


@pytest.mark.row("E2")
async def test_model_calls_use_the_tenants_key_and_others_the_installations(stack: Stack, api: Api) -> None:
    stub: Any = grpc_pb.ModelEndpointServiceStub(api.channel)
    await stub.PutModelEndpoint(pb.PutModelEndpointRequest(api_key=KEY), metadata=api.metadata, timeout=10)
    model = "scripted:tag=own-key"
    agent = await api.make_agent(model, tools=["create_task"])
    run_id = (await api.initiate('Create a task "Pay".', agent_id=agent)).run_id
    events = await api.events(run_id)
    calls = await ModelRecord(stack.model_url).calls(model, ended=2)
    assert {call["key_sha256"] for call in calls} == {hashlib.sha256(KEY.encode()).hexdigest()}
    assert KEY not in str(events)
