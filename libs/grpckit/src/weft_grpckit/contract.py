"""What the contract says about a method: scope, reasons, which services may call it."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from weft.access.v1 import access_pb2
from weft.errors.v1 import error_reason_pb2

_PREFIX: Final = "ERROR_REASON_"
_LAST_COMMON: Final = 99


@dataclass(frozen=True, slots=True)
class MethodContract:
    """The options of one method. An empty `scope` and empty `service_callers` were not set."""

    path: str
    scope: str
    reasons: frozenset[str]
    service_callers: frozenset[str]
    is_server_streaming: bool
    is_client_streaming: bool

    def allows_reason(self, reason: str) -> bool:
        return reason in self.reasons or reason in common_reasons()


@lru_cache(maxsize=1)
def common_reasons() -> frozenset[str]:
    """Return the reasons that any method may fail with."""
    values = error_reason_pb2.ErrorReason.DESCRIPTOR.values
    return frozenset(each.name.removeprefix(_PREFIX) for each in values if 0 < each.number <= _LAST_COMMON)


def contract_of(method: MethodDescriptor) -> MethodContract:
    options = method.GetOptions()
    names = error_reason_pb2.ErrorReason.DESCRIPTOR.values_by_number
    return MethodContract(
        path=f"/{method.containing_service.full_name}/{method.name}",
        scope=options.Extensions[access_pb2.scope],
        reasons=frozenset(names[each].name.removeprefix(_PREFIX) for each in options.Extensions[access_pb2.reasons]),
        service_callers=frozenset(options.Extensions[access_pb2.service_callers]),
        is_server_streaming=method.server_streaming,
        is_client_streaming=method.client_streaming,
    )


def contracts_of(services: Iterable[ServiceDescriptor]) -> list[MethodContract]:
    return [contract_of(method) for service in services for method in service.methods]


def find_contract(path: str) -> MethodContract | None:
    """Return the contract of `/package.Service/Method`, None where no generated code for it was imported."""
    service, _, method = path.removeprefix("/").rpartition("/")
    try:
        return contract_of(descriptor_pool.Default().FindMethodByName(f"{service}.{method}"))
    except KeyError:
        return None


def service_named(full_name: str) -> ServiceDescriptor:
    """Return the descriptor of a service whose generated code was imported."""
    return descriptor_pool.Default().FindServiceByName(full_name)
