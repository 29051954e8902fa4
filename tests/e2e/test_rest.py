"""REST and server-sent events, as a browser or curl has them: through Envoy, on the whole stack."""

import asyncio
import json
from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import aiohttp
import pytest
from google.protobuf import json_format
from google.rpc import error_details_pb2, status_pb2
from public_api import Api
from weft_cli.stack import Stack

ORIGIN = "http://localhost:5173"
NOBODY = "run_00000000000000000000000000"
MEGABYTE = 1_000_000


@pytest.fixture
async def http(stack: Stack, api: Api) -> AsyncIterator[aiohttp.ClientSession]:
    """A client with the tenant's key."""
    timeout = aiohttp.ClientTimeout(total=30)
    base, headers = f"http://{stack.address('envoy')}", {"x-api-key": api.key}
    async with aiohttp.ClientSession(base, headers=headers, timeout=timeout) as session:
        yield session


async def answer(call: Any) -> Any:
    async with call as response:
        assert response.status == 200, await response.text()
        assert response.content_type == "application/json"
        assert response.headers["cache-control"] == "no-store"
        return await response.json()


async def refusal(call: Any, status: int, reason: str) -> status_pb2.Status:
    """Expect an error as google.rpc.Status in JSON with this reason."""
    async with call as response:
        text = await response.text()
        assert (response.status, response.content_type) == (status, "application/json"), text
    told = json_format.Parse(text, status_pb2.Status())
    assert detail(told, error_details_pb2.ErrorInfo()).reason == reason, text
    assert told.message
    return told


def detail(told: status_pb2.Status, kind: Any) -> Any:
    assert any(each.Unpack(kind) for each in told.details), kind.DESCRIPTOR.name
    return kind


async def sse(http: aiohttp.ClientSession, path: str, **query: str | int) -> AsyncIterator[Any]:
    """Yield the events of a stream; one `data:` line and an empty one make a message."""
    async with http.get(path, params=query) as response:
        assert (response.status, response.content_type) == (200, "text/event-stream")
        async for line in response.content:
            assert line == b"\n" or line.startswith(b"data: "), line
            for event in json.loads(line[6:] or b"{}").get("events", ()):
                yield event


@pytest.mark.row("G8", "A2")
async def test_a_run_is_started_watched_and_read_by_rest(http: aiohttp.ClientSession) -> None:
    made = await answer(http.post("/v1/agents:initiate", json={"text": "Say hello."}))
    events = [event async for event in sse(http, f"/v1/runs/{made['runId']}/events")]
    assert [event["seq"] for event in events] == [str(seq) for seq in range(1, len(events) + 1)]
    assert "runSucceeded" in events[-1]
    again = [event async for event in sse(http, f"/v1/runs/{made['runId']}/events", after_seq=4)]
    assert again == events[4:]
    waited = await answer(http.get(f"/v1/runs/{made['runId']}:wait", params={"timeout": "10s"}))
    assert waited["run"]["state"] == "RUN_STATE_SUCCEEDED"
    listed = await answer(http.get("/v1/runs", params={"thread_id": made["threadId"], "states": "RUN_STATE_SUCCEEDED"}))
    assert [run["runId"] for run in listed["runs"]] == [made["runId"]]
    told = await answer(http.get(f"/v1/threads/{made['threadId']}/messages"))
    assert [message["role"] for message in told["messages"]] == ["ROLE_USER", "ROLE_ASSISTANT"]


@pytest.mark.row("G8")
async def test_events_come_while_the_run_goes_on_and_it_can_be_stopped(http: aiohttp.ClientSession, api: Api) -> None:
    agent = await api.make_agent("scripted:tps=20,count=100000")
    made = await answer(http.post("/v1/agents:initiate", json={"text": "Talk.", "agentId": agent}))
    types = []
    async for event in sse(http, f"/v1/runs/{made['runId']}/events"):
        if "messageDelta" in event and "messageDelta" not in types:
            stopped = await answer(http.post(f"/v1/runs/{made['runId']}:cancel", json={"wait": "5s"}))
            assert stopped["run"]["state"] == "RUN_STATE_CANCELLED"
        types += [key for key in event if isinstance(event[key], dict)]
    assert types[-1] == "runCancelled"


@pytest.mark.row("G8")
async def test_resources_are_made_changed_and_deleted_by_rest(http: aiohttp.ClientSession) -> None:
    made = await answer(http.post("/v1/agents", json={"displayName": "One", "spec": {"model": "scripted"}}))
    path = f"/v1/agents/{made['agent']['agentId']}"
    changed = await answer(http.patch(path, json={"displayName": "Two", "updateMask": "displayName"}))
    assert changed["agent"]["displayName"] == "Two"
    assert (await answer(http.get(path)))["agent"]["spec"]["model"] == "scripted"
    versions = await answer(http.get(f"{path}/versions"))
    assert len(versions["agentVersions"]) == 1
    assert await answer(http.delete(path)) == {}
    await refusal(http.get(path), 404, "AGENT_NOT_FOUND")


@pytest.mark.row("G8")
async def test_errors_are_json_with_their_details(http: aiohttp.ClientSession) -> None:
    told = await refusal(http.get("/v1/runs", params={"page_size": 1001}), 400, "INVALID_FIELDS")
    assert detail(told, error_details_pb2.BadRequest()).field_violations[0].field == "page_size"
    await refusal(http.get(f"/v1/runs/{NOBODY}"), 404, "RUN_NOT_FOUND")
    await refusal(http.get(f"/v1/runs/{NOBODY}/events"), 404, "RUN_NOT_FOUND")
    await refusal(http.get("/v1/tenants"), 403, "SCOPE_MISSING")
    await refusal(http.get("/v1/runs", headers={"x-api-key": ""}), 401, "API_KEY_MISSING")


MALFORMED = {
    "no JSON": b"{nope",
    "cut JSON": b'{"text": "a',
    "a list": b"[1]",
    "null": b"null",
    "a number": b"5",
    "wrong type": b'{"text": 5}',
    "a list for a text": b'{"text": ["a"]}',
    "an object for a text": b'{"text": {}}',
    "unknown enum value": b'{"text": "a", "busyStrategy": "NOPE"}',
    "unknown enum number": b'{"text": "a", "busyStrategy": 77}',
    "bad UTF-8": b'{"text": "\xff\xfe"}',
    "half a surrogate pair": b'{"text": "\\ud800"}',
    "deep": b'{"text": ' + b"[" * 100_000,
    "deep in an unknown field": b'{"text": "a", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "nothing": b"",
    "text too long": b'{"text": "' + b"a" * 2 * MEGABYTE + b'"}',
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
async def test_a_malformed_body_is_the_callers_fault(http: aiohttp.ClientSession, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    told = await refusal(http.post("/v1/agents:initiate", data=BytesIO(body), headers=headers), 400, "INVALID_FIELDS")
    assert detail(told, error_details_pb2.BadRequest()).field_violations


# Good HTTP, and in gRPC a fault of the server or what the edge decides by.
STRANGE = {
    "a*": "x",
    "a'b|c": "x",
    "x": "\xe9",
    "some-bin": "no base64!",
    "grpc-timeout": "never",
    "grpc-encoding": "gzip",
    "grpc-trace-bin": "!",
    "grpc-previous-rpc-attempts": "x",
    "x-envoy-upstream-rq-timeout-ms": "1",
    "x-envoy-original-path": "/",
    "cookie": "a=b",
    "content-type": "application/xml",
    "traceparent": "x",
}


@pytest.mark.parametrize("name", STRANGE)
async def test_a_header_that_grpc_does_not_know_does_no_harm(http: aiohttp.ClientSession, name: str) -> None:
    assert "agents" in await answer(http.get("/v1/agents", headers={name: STRANGE[name]}))


async def test_headers_are_bounded(http: aiohttp.ClientSession) -> None:
    await refusal(http.get("/v1/agents", headers={"x": "y" * 25_000}), 431, "INVALID_FIELDS")


@pytest.mark.parametrize("query", ["page_size=x", "page_size=99999999999", "states=NOPE", "nope=1", "thread_id=%ff%fe"])
async def test_a_malformed_query_is_the_callers_fault(http: aiohttp.ClientSession, query: str) -> None:
    await refusal(http.get(f"/v1/runs?{query}"), 400, "INVALID_FIELDS")


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("GET", "/"),
        ("GET", "/v1/nope"),
        ("PUT", "/v1/runs"),
        ("DELETE", "/v1/runs"),
        ("POST", f"/v1/runs/{NOBODY}:nope"),
    ],
)
async def test_an_unknown_path_or_method_is_not_found(http: aiohttp.ClientSession, verb: str, path: str) -> None:
    await refusal(http.request(verb, path), 404, "METHOD_UNKNOWN")


async def test_a_body_is_bounded(stack: Stack) -> None:
    """Refused before it is whole; by hand, as clients go on sending and then miss the answer."""
    host, port = stack.address("envoy").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /v1/agents:initiate HTTP/1.1\r\nhost: x\r\ncontent-length: 99000000\r\n\r\n")
    writer.write(b'{"text": "' + b"a" * 22 * 1024 * 1024)
    async with asyncio.timeout(20):
        head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    assert head.startswith(b"HTTP/1.1 413 ")


async def test_two_targets_of_a_cancel_are_refused(http: aiohttp.ClientSession) -> None:
    await refusal(http.post(f"/v1/runs/{NOBODY}:cancel", json={"requestId": "x"}), 400, "INVALID_FIELDS")
    assert (await answer(http.post("/v1/runs:cancel", json={"requestId": "x"})))["isTombstone"]


async def test_grpc_sent_to_a_rest_path_is_told_so(http: aiohttp.ClientSession) -> None:
    headers = {"content-type": "application/grpc"}
    async with http.post("/v1/agents:initiate", data=b"\0\0\0\0\0", headers=headers) as response:
        assert response.headers["grpc-message"] == "this path takes JSON"


@pytest.mark.row("G8")
async def test_a_page_of_this_machine_reads_answers_and_errors_and_no_other_page_does(
    http: aiohttp.ClientSession,
) -> None:
    for origin, allowed in ((ORIGIN, ORIGIN), ("https://elsewhere.example", None)):
        asked = {"origin": origin, "access-control-request-method": "PATCH"}
        async with http.options(f"/v1/runs/{NOBODY}", headers=asked) as response:
            assert response.headers.get("access-control-allow-origin") == allowed
            assert ("PATCH" in response.headers.get("access-control-allow-methods", "")) == (allowed is not None)
        for path in ("/v1/agents", f"/v1/runs/{NOBODY}", "/v1/runs?page_size=x", "/v1/nope"):
            async with http.get(path, headers={"origin": origin}) as response:
                assert response.headers.get("access-control-allow-origin") == allowed, path


@pytest.mark.row("G8", "A5", "B5")
async def test_an_agent_is_streamed_and_its_thread_watched_by_rest(http: aiohttp.ClientSession) -> None:
    asked = {"initiate": {"text": "Say hello."}, "followSuccessor": True}
    async with http.post("/v1/agents:stream", json=asked) as response:
        assert response.content_type == "text/event-stream"
        messages = [json.loads(line[6:]) async for line in response.content if line.startswith(b"data: ")]
    made = messages[0]["initiated"]
    assert "runSucceeded" in messages[-1]["events"][-1]
    path, cursor = f"/v1/threads/{made['threadId']}/events", {"after.thread_seq": "3", "after.run_id": made["runId"]}
    async with http.get(path, params=cursor) as response:
        first = json.loads((await response.content.readline()).removeprefix(b"data: "))
    assert [item["runEvent"]["seq"] for item in first["items"]][:2] == ["1", "2"]
    assert first["cursor"]["runId"] == made["runId"]
