"""All RPCs, read from the generated contracts: a new one is in every test that uses this list."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any, Final

import weft
from buf.validate import validate_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from weft_grpckit.contract import MethodContract, contract_of

# Which process serves a service. A service that is not here fails the tests of the catalogue.
SERVED_BY: Final = {
    "weft.gateway.v1.AgentGateway": "gateway",
    "weft.agents.v1.AgentService": "threads",
    "weft.documents.v1.DocumentService": "threads",
    "weft.projects.v1.ProjectService": "threads",
    "weft.runs.v1.AdmissionService": "threads",
    "weft.runs.v1.RunLogService": "threads",
    "weft.runs.v1.RunQueueService": "threads",
    "weft.runs.v1.RunService": "threads",
    "weft.tasks.v1.TaskService": "threads",
    "weft.tenants.v1.CredentialService": "threads",
    "weft.tenants.v1.TenantService": "threads",
    "weft.threads.v1.AttachmentService": "threads",
    "weft.threads.v1.ThreadService": "threads",
    "weft.tools.v1.ToolJournalService": "threads",
    "weft.tools.v1.ToolService": "tools",
    "weft.tenants.v1.ModelEndpointService": "threads",
    "weft.usage.v1.UsageService": "threads",
    "weft.runner.v1.AgentRunnerService": "agent-runner",
}
INTERNAL: Final = {
    "weft.runs.v1.AdmissionService",
    "weft.runs.v1.RunLogService",
    "weft.runs.v1.RunQueueService",
    "weft.tenants.v1.CredentialService",
    "weft.threads.v1.AttachmentService",
    "weft.tools.v1.ToolJournalService",
    "weft.runner.v1.AgentRunnerService",
}
_RULES: Final[Any] = vars(validate_pb2)["field"]  # the stubs leave extensions out
_ID_PATTERN: Final = re.compile(r"\^\(?([a-z]{3})_\[0-7\]")
_REASONS_PROTO: Final = Path(__file__).parents[2] / "protos/weft/errors/v1/error_reason.proto"


@dataclass(frozen=True)
class IdField:
    """A field of a request that holds an id: its path, as `runs.run_id`, and the prefix of the id."""

    path: str
    prefix: str


# Ids in messages that answers use too, so that no rule in the contract names them.
UNCHECKED_IDS: Final = {
    "RunQueueService/Release": (IdField("runs.tenant_id", "ten"), IdField("runs.run_id", "run")),
}

# Streams that end with what they show, which goes on here: their first response is all that is read.
ENDLESS: Final = {"AgentGateway/StreamAgent", "AgentGateway/ThreadEvents"}


@dataclass(frozen=True)
class Rpc:
    method: MethodDescriptor

    @property
    def name(self) -> str:
        return f"{self.method.containing_service.name}/{self.method.name}"

    @property
    def service(self) -> str:
        return str(self.method.containing_service.full_name)

    @cached_property
    def contract(self) -> MethodContract:
        return contract_of(self.method)

    @property
    def is_public(self) -> bool:
        return self.service not in INTERNAL

    @property
    def is_inner(self) -> bool:
        """Whether it can be called behind the gateway."""
        return SERVED_BY[self.service] != "gateway"

    @property
    def is_endless(self) -> bool:
        return self.name in ENDLESS

    @property
    def request(self) -> type[Message]:
        return GetMessageClass(self.method.input_type)

    @property
    def response(self) -> type[Message]:
        return GetMessageClass(self.method.output_type)

    @property
    def id_fields(self) -> list[IdField]:
        return [*_id_fields(self.method.input_type), *UNCHECKED_IDS.get(self.name, ())]

    @property
    def has_pages(self) -> bool:
        return "page_token" in self.method.input_type.fields_by_name

    def __str__(self) -> str:
        return self.name


def all_rpcs() -> list[Rpc]:
    found = [Rpc(method) for service in all_services() for method in service.methods]
    return sorted(found, key=lambda rpc: rpc.contract.path)


def all_services() -> list[ServiceDescriptor]:
    names = [each.name for each in walk_packages(weft.__path__, "weft.") if each.name.endswith("_pb2")]
    modules = [import_module(name) for name in names]
    return [service for module in modules for service in module.DESCRIPTOR.services_by_name.values()]


@dataclass(frozen=True)
class Reason:
    """What the contract says of a reason, in the comment above it."""

    name: str
    number: int
    code: str
    text: str

    @property
    def is_common(self) -> bool:
        return self.number < 100

    @property
    def metadata(self) -> set[str]:
        return set(re.findall(r"`metadata\.(\w+)`", self.text))

    @property
    def has_retry_info(self) -> bool:
        return "RetryInfo" in self.text


def all_reasons() -> dict[str, Reason]:
    text = _REASONS_PROTO.read_text()
    found = re.findall(r"((?: *//.*\n)+) *ERROR_REASON_([A-Z_]+) = (\d+);", text)
    reasons = {}
    for comment, name, number in found:
        words = re.sub(r"\s*//\s?", " ", comment).strip()
        reasons[name] = Reason(name, int(number), words.partition(":")[0].split()[-1], words)
    return {name: reason for name, reason in reasons.items() if reason.number}


def _id_fields(message: Descriptor, before: str = "", depth: int = 0) -> Iterator[IdField]:
    for field in message.fields:
        if field.type == FieldDescriptor.TYPE_STRING:
            pattern = field.GetOptions().Extensions[_RULES].string.pattern
            if found := _ID_PATTERN.match(pattern):
                yield IdField(before + field.name, found[1])
        elif field.message_type is not None and depth < 2 and field.message_type.full_name.startswith("weft."):
            yield from _id_fields(field.message_type, f"{before}{field.name}.", depth + 1)
