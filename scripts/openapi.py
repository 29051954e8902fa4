"""Write docs/openapi.json out of the contracts: every path, every rule of a field, every way to fail.

`openapi.py write` writes it anew, `openapi.py check` says whether it is fresh.
"""

import json
import sys
import tempfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

from generated_docs import REASON_PREFIX, commented_values
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from openapi_schemas import Schema, Schemas, is_required
from proto_comments import comments_of
from rest import Binding, all_bindings, bindings_of
from weft_gateway.public import SERVICES
from weft_grpckit.contract import contract_of

import protos

ROOT: Final = Path(__file__).resolve().parents[1]
DOCUMENT: Final = ROOT / "docs/openapi.json"
STREAM: Final = "text/event-stream"
STATUS: Final = "google.rpc.Status"
# As Envoy maps them.
HTTP_STATUS: Final[Mapping[str, int]] = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
REASONS: Final = ("weft/errors/v1/error_reason.proto", "ErrorReason")
# Between services, and what Envoy answers itself where there is no path.
NOT_BY_REST: Final = frozenset({"TOKEN_INVALID", "METHOD_UNKNOWN"})
_TEXT: Final[Schema] = {"type": "string"}
DETAILS: Final[Mapping[str, Schema]] = {
    "ErrorInfo": {
        "reason": _TEXT,
        "domain": {"const": "weft"},
        "metadata": {"type": "object", "additionalProperties": _TEXT},
    },
    "BadRequest": {
        "fieldViolations": {
            "type": "array",
            "items": {"type": "object", "properties": {"field": _TEXT, "description": _TEXT, "reason": _TEXT}},
        },
    },
    "RetryInfo": {"retryDelay": {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?s$"}},
}
ABOUT: Final = """
Weft runs LLM agents on the server: start a run with `POST /v1/agents:initiate`, watch it with
`GET /v1/runs/{runId}/events`. Streams are server-sent events, each message one `data:` line of JSON
(`x-event-schema`). Fields that have their default are left out of answers; parameters and fields may also be named as
in the protos (`page_size`). Made from the contracts.
"""


def document(comments: Mapping[str, str]) -> Schema:
    schemas = Schemas(comments)
    paths: dict[str, Schema] = {}
    for binding in all_bindings(SERVICES):
        paths.setdefault(public_path(binding), {})[binding.verb] = operation(binding, schemas, comments)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Weft", "version": "v1", "description": " ".join(ABOUT.split())},
        "servers": [{"url": "http://127.0.0.1:7410", "description": "what `weft up` starts"}],
        "security": [{"apiKey": []}, {"bearer": []}],
        "tags": [{"name": each.name, "description": comments.get(each.full_name, "")} for each in SERVICES],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
            "schemas": dict(sorted({**schemas.components, STATUS: error_schema()}.items())),
        },
    }


def public_path(binding: Binding) -> str:
    """Return the path with its variables named as in JSON."""
    fields, path = binding.method.input_type.fields_by_name, binding.path
    for name in binding.variables:
        path = path.replace(f"{{{name}}}", f"{{{fields[name].json_name}}}")
    return path


def operation(binding: Binding, schemas: Schemas, comments: Mapping[str, str]) -> Schema:
    method = binding.method
    told = comments.get(method.full_name, "")
    place = bindings_of(method).index(binding)
    made: Schema = {
        "operationId": f"{method.containing_service.name}_{method.name}" + (f"_{place + 1}" if place else ""),
        "tags": [method.containing_service.name],
        "summary": told.partition("\n\n")[0],
        "description": f"{told}\n\nScope: `{contract_of(method).scope}`.",
        "parameters": parameters(binding, schemas),
    }
    if binding.body:
        made["requestBody"] = body(binding, schemas)
    return made | {"responses": responses(binding, schemas)}


def parameters(binding: Binding, schemas: Schemas) -> list[Schema]:
    fields = binding.method.input_type.fields_by_name
    found = [_parameter(fields[name], "path", schemas) for name in binding.variables]
    if binding.body:
        return found
    rest = [field for name, field in fields.items() if name not in binding.variables]
    return [*found, *(parameter for field in rest for parameter in _query(field, schemas, ""))]


def _query(field: FieldDescriptor, schemas: Schemas, prefix: str) -> list[Schema]:
    """A message in a query is its fields behind dots; a map does not fit into one."""
    inner: Descriptor | None = field.message_type
    if inner is None or inner.full_name.startswith("google.protobuf."):
        return [_parameter(field, "query", schemas, prefix)]
    if field.is_repeated:
        return []
    return [each for one in inner.fields for each in _query(one, schemas, f"{prefix}{field.json_name}.")]


def _parameter(field: FieldDescriptor, place: str, schemas: Schemas, prefix: str = "") -> Schema:
    schema = schemas.of_field(field, in_query=True)
    return {
        "name": prefix + field.json_name,
        "in": place,
        "required": place == "path" or (not prefix and is_required(field)),
        "description": schema.pop("description"),
        "schema": schema,
    }


def body(binding: Binding, schemas: Schemas) -> Schema:
    """Return what the path does not name; of a oneof that it names one of, nothing."""
    fields = binding.method.input_type.fields_by_name
    in_path = [fields[name] for name in binding.variables]
    chosen = {field.containing_oneof.full_name for field in in_path if field.containing_oneof}
    kept = [
        field
        for field in fields.values()
        if field not in in_path and not (field.containing_oneof and field.containing_oneof.full_name in chosen)
    ]
    schema = schemas.of_fields(binding.method.input_type, kept)
    needed = bool(schema.get("required") or schema.get("allOf"))
    return {"required": needed, "content": {"application/json": {"schema": schema}}}


def responses(binding: Binding, schemas: Schemas) -> Schema:
    answer = schemas.of_message(binding.method.output_type)
    content = {"application/json": {"schema": answer}}
    if binding.method.server_streaming:
        content = {STREAM: {"schema": {"type": "string"}, "x-event-schema": answer}}
    reasons = reasons_by_status(binding.method)
    if binding.variables:
        reasons.setdefault(404, []).append("METHOD_UNKNOWN")
    if binding.body:
        reasons[413] = ["INVALID_FIELDS"]
    reasons[431] = ["INVALID_FIELDS"]
    failures = {
        str(status): {
            "description": ", ".join(names),
            "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{STATUS}"}}},
        }
        for status, names in sorted(reasons.items())
    }
    return {"200": {"description": "OK", "content": content}, **failures}


def reasons_by_status(method: MethodDescriptor) -> dict[int, list[str]]:
    """Return the HTTP statuses that a method can answer with, and the reasons behind each."""
    found: dict[int, list[str]] = {}
    for reason, code in codes().items():
        if reason in NOT_BY_REST or not contract_of(method).allows_reason(reason):
            continue
        found.setdefault(HTTP_STATUS[code], []).append(reason)
    return found


@lru_cache(maxsize=1)
def codes() -> Mapping[str, str]:
    """Return the canonical code of each reason: its comment begins with it, after that of its group."""
    told = {name.removeprefix(REASON_PREFIX): comment for name, comment in commented_values(*REASONS).items()}
    return {name: told[name].partition(": ")[0].rsplit(" ", 1)[-1] for name in told if name != "UNSPECIFIED"}


def error_schema() -> Schema:
    return {
        "type": "object",
        "description": "An error: the canonical code, what to do, and details, of which an ErrorInfo holds the reason.",
        "properties": {
            "code": {"type": "integer", "format": "int32", "minimum": 1, "maximum": 16},
            "message": {"type": "string"},
            "details": {
                "type": "array",
                "items": {"oneOf": [_detail(name, fields) for name, fields in DETAILS.items()]},
            },
        },
        "required": ["code", "message"],
    }


def _detail(name: str, fields: Schema) -> Schema:
    kind = {"@type": {"const": f"type.googleapis.com/google.rpc.{name}"}}
    return {"type": "object", "properties": {**kind, **fields}, "required": ["@type"]}


def text() -> str:
    """Return the document as it is written."""
    with tempfile.NamedTemporaryFile(suffix=".binpb") as file:
        files = FileDescriptorSet.FromString(protos.image(protos.PROTOS, Path(file.name)).read_bytes())
    return json.dumps(document(comments_of(files)), indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    made = text()
    if sys.argv[1:] == ["write"]:
        if not DOCUMENT.exists() or DOCUMENT.read_text() != made:
            DOCUMENT.write_text(made)
        return 0
    if DOCUMENT.read_text() != made:
        print(f"not what protos/ says, run `make protos`: {DOCUMENT.relative_to(ROOT)}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
