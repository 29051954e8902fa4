"""What the contracts say about REST: the HTTP rule of every public method."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, cast

from google.api import annotations_pb2, http_pb2
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

VARIABLE: Final = re.compile(r"{([a-z_.]+)}")


@dataclass(frozen=True, slots=True)
class Binding:
    """One way to call a method: `verb` is lower case, `body` is `*` where a body has what the path has not."""

    method: MethodDescriptor
    verb: str
    path: str
    body: str

    @property
    def name(self) -> str:
        return f"{self.method.containing_service.name}.{self.method.name}"

    @property
    def variables(self) -> list[str]:
        return VARIABLE.findall(self.path)

    @property
    def shape(self) -> str:
        """What decides which method a request is for: two bindings of one shape cannot be told apart."""
        return f"{self.verb} {VARIABLE.sub('*', self.path)}"


def bindings_of(method: MethodDescriptor) -> list[Binding]:
    """Return the bindings of a method, the main one first; none where it has no rule."""
    options, http = method.GetOptions(), cast(Any, annotations_pb2.http)  # the stubs know it as a plain field
    if not options.HasExtension(http):
        return []
    rule: http_pb2.HttpRule = options.Extensions[http]
    return [_binding(method, each) for each in (rule, *rule.additional_bindings)]


def all_bindings(services: Iterable[ServiceDescriptor]) -> Iterator[Binding]:
    for service in services:
        for method in service.methods:
            yield from bindings_of(method)


def _binding(method: MethodDescriptor, rule: http_pb2.HttpRule) -> Binding:
    verb = rule.WhichOneof("pattern")
    if verb is None or verb == "custom":
        raise ValueError(f"{method.full_name}: an HTTP rule needs one of get, post, patch, put, delete")
    return Binding(method, verb, getattr(rule, verb), rule.body)
