"""Generated requests against docs/openapi.json, through Envoy, on the whole stack: no fault of the server, no answer
that the document does not have. `make fuzz` does more of them, each time others (REST_EXAMPLES)."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from public_api import ALL_SCOPES
from schemathesis import GenerationMode, checks
from weft_cli.stack import Stack

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/openapi.json"
EXAMPLES = int(os.environ.get("REST_EXAMPLES", "0"))
ID = re.compile(r"([a-z]{3})_[0-7][0-9a-hjkmnp-tv-z]{25}")
CONNECT_SECONDS, ANSWER_SECONDS, WATCH_SECONDS = 5, 75, 0.5
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]

SPEC: dict[str, Any] = json.loads(DOCUMENT.read_text())
LOADED: Any = schemathesis.openapi.from_dict(SPEC).get_all_operations()
OPERATIONS = {each.ok().label: each.ok() for each in LOADED}


class Estate:
    """A tenant with one of everything, made by REST."""

    def __init__(self, base: str, operator: str) -> None:
        self.base, self.operator, self.ids = base, operator, dict[str, str]()
        self.key = operator
        tenant = self.post("tenants", displayName="fuzzed")["tenant"]
        other = self.post("tenants", displayName="the operator's")["tenant"]
        tenant_id = tenant["tenantId"]
        api_key = self.post(f"tenants/{other['tenantId']}/apiKeys", displayName="k", scopes=["runs.read"])["apiKey"]
        self.key = self.post(f"tenants/{tenant_id}/apiKeys", displayName="k", scopes=ALL_SCOPES)["secret"]
        agent = self.post("agents", displayName="a", spec={"tools": ["create_task"]})["agent"]
        project = self.post("projects", displayName="p")["project"]["projectId"]
        document = self.post(f"projects/{project}/documents:put", title="t", text="harbour")["document"]
        made = self.post("agents:initiate", text="hello", projectId=project)
        self.ids = {
            "ten": other["tenantId"],
            "key": api_key["apiKeyId"],
            "agt": agent["agentId"],
            "agv": agent["agentVersionId"],
            "prj": project,
            "doc": document["documentId"],
            "tsk": self.post(f"projects/{project}/tasks", title="t")["task"]["taskId"],
            "thr": made["threadId"],
            "run": made["runId"],
        }
        waited = requests.get(f"{base}/v1/runs/{made['runId']}:wait", headers=self.headers(self.key), timeout=60)
        assert waited.json()["run"]["state"] == "RUN_STATE_SUCCEEDED", waited.text

    def post(self, path: str, **body: Any) -> Any:
        answer = requests.post(f"{self.base}/v1/{path}", json=body, headers=self.headers(self.key), timeout=20)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def headers(self, key: str) -> Mapping[str, str]:
        return {"x-api-key": key}

    def at_home(self, value: Any) -> Any:
        """Return a generated value with the estate's own ids and names in the place of made up ones."""
        if isinstance(value, str):
            found = ID.fullmatch(value)
            return self.ids.get(found[1], value) if found else value
        if isinstance(value, list):
            return [self.at_home(each) for each in value]
        if isinstance(value, dict):
            return {name: self.at_home(each) for name, each in value.items()}
        return value


@pytest.fixture
def estate(stack: Stack) -> Estate:
    return Estate(f"http://{stack.address('envoy')}", stack.operator_key)


def send(case: Any, estate: Estate, *, is_at_home: bool) -> requests.Response:
    if is_at_home:
        case.path_parameters, case.query = estate.at_home(case.path_parameters), estate.at_home(case.query)
        case.body = estate.at_home(case.body)
        if "name" in case.path_parameters:
            case.path_parameters["name"] = "create_task"
    asked = case.as_transport_kwargs(base_url=estate.base)
    asked["headers"] = {name: value for name, value in asked["headers"].items() if name.lower() != "authorization"}
    is_operators = case.operation.path.startswith("/v1/tenants")
    asked["headers"]["x-api-key"] = estate.operator if is_operators else estate.key
    seconds = WATCH_SECONDS if event_schema(case.operation) else ANSWER_SECONDS
    return requests.request(**{**asked, "stream": True, "timeout": (CONNECT_SECONDS, seconds)})


def event_schema(operation: Any) -> Any:
    """Return the schema of a stream's messages; None where the operation does not stream."""
    content = SPEC["paths"][operation.path][operation.method]["responses"]["200"]["content"]
    return content.get("text/event-stream", {}).get("x-event-schema")


def check(case: Any, response: requests.Response) -> None:
    schema = event_schema(case.operation)
    if response.status_code == 200 and schema:
        assert response.headers["content-type"] == "text/event-stream"
        for event in events(response):
            jsonschema.validate(event, {**schema, "components": SPEC["components"]})
    else:
        case.validate_response(response, checks=CHECKS)


def events(response: requests.Response) -> Iterator[Any]:
    """Yield the messages of a stream, to its end or until it is silent."""
    try:
        for line in response.iter_lines():
            assert line == b"" or line.startswith(b"data: "), line
            if line:
                yield json.loads(line[6:])
    except (requests.ConnectionError, requests.Timeout) as error:
        if "Read timed out" not in str(error):
            raise


BOUNDED = settings(
    max_examples=EXAMPLES or 25,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    phases=[Phase.generate, *([Phase.shrink] if EXAMPLES else [])],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.row("G8")
@pytest.mark.timeout(0 if EXAMPLES else 120)
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("label", OPERATIONS)
def test_generated_requests_get_answers_that_the_document_has(label: str, mode: Any, estate: Estate) -> None:
    seen: list[int] = []

    @BOUNDED
    @given(OPERATIONS[label].as_strategy(generation_mode=mode), st.booleans())
    def ask(case: Any, is_at_home: bool) -> None:
        with closing(send(case, estate, is_at_home=is_at_home)) as response:
            seen.append(response.status_code)
            check(case, response)

    ask()
    assert seen
