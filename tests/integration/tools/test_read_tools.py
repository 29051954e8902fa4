"""GetTool and ListTools."""

import json

import grpc
import pytest
from integration.tools.harness import Setting, ToolsServer
from weft.tools.v1 import tool_service_pb2 as pb
from weft_grpckit.status import reason_of


async def test_a_tool_is_shown_as_models_are_told(setting: Setting, server: ToolsServer) -> None:
    answer = await server.stub.GetTool(pb.GetToolRequest(name="create_task"), metadata=setting.caller())
    assert json.loads(answer.tool.parameters_json)["required"] == ["title"]
    assert answer.tool.is_idempotent
    assert answer.tool.timeout.seconds == 60
    assert answer.tool.description


async def test_all_tools_come_page_by_page_in_order(setting: Setting, server: ToolsServer) -> None:
    whole = await server.stub.ListTools(pb.ListToolsRequest(), metadata=setting.caller())
    names, token = [], ""
    while True:
        request = pb.ListToolsRequest(page_size=3, page_token=token)
        page = await server.stub.ListTools(request, metadata=setting.caller())
        assert len(page.tools) <= 3
        names += [tool.name for tool in page.tools]
        token = page.next_page_token
        if not token:
            break
    assert names == [tool.name for tool in whole.tools] == sorted(names)
    assert {"search_documents", "read_document", "create_task"} <= set(names)


@pytest.mark.parametrize(
    ("method", "request_", "reason"),
    [
        ("GetTool", pb.GetToolRequest(name="no_such_tool"), "TOOL_NOT_FOUND"),
        ("GetTool", pb.GetToolRequest(), "INVALID_FIELDS"),
        ("ListTools", pb.ListToolsRequest(page_size=-1), "INVALID_FIELDS"),
        ("ListTools", pb.ListToolsRequest(page_token="forged"), "PAGE_TOKEN_INVALID"),
    ],
)
async def test_a_wrong_question_is_refused_with_its_reason(
    setting: Setting, server: ToolsServer, method: str, request_: object, reason: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await getattr(server.stub, method)(request_, metadata=setting.caller())
    assert reason_of(caught.value) == reason
