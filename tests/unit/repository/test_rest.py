"""Every public method can be called by REST, and no two of them by the same request."""

import re
from collections import Counter
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from rest import Binding, all_bindings, bindings_of
from weft_gateway.public import SERVICES

ROOT = Path(__file__).resolve().parents[3]
METHODS = [method for service in SERVICES for method in service.methods]
BINDINGS = list(all_bindings(SERVICES))
PATH = re.compile(r"/v1/[a-z][a-zA-Z]*(/([a-z][a-zA-Z]*|{[a-z_]+}))*(:[a-z]+)?")


def name(each: Binding | MethodDescriptor) -> str:
    return each.name


@pytest.mark.parametrize("method", METHODS, ids=name)
def test_every_public_method_has_an_http_rule(method: MethodDescriptor) -> None:
    assert bindings_of(method), f"{method.full_name} has no google.api.http: see CONTRIBUTING.md, A contract"


def test_no_two_bindings_answer_to_the_same_request() -> None:
    colliding = {shape for shape, count in Counter(each.shape for each in BINDINGS).items() if count > 1}
    assert {shape: [each.name for each in BINDINGS if each.shape == shape] for shape in colliding} == {}


@pytest.mark.parametrize("binding", BINDINGS, ids=name)
def test_a_binding_keeps_the_convention(binding: Binding) -> None:
    assert PATH.fullmatch(binding.path), binding.path
    assert (binding.verb in ("get", "delete")) == (binding.body == ""), "a body is `*`, and GET and DELETE have none"
    assert binding.body in ("", "*")
    is_read = binding.method.name.startswith(("Get", "List", "Read", "Search", "Query", "Wait")) or (
        binding.method.name.endswith("Events")
    )
    assert is_read == (binding.verb == "get") or binding.path.endswith(":search"), "GET reads, and only that"
    fields = binding.method.input_type.fields_by_name
    for variable in binding.variables:
        assert fields[variable].type == FieldDescriptor.TYPE_STRING, variable


def does_not_fit_into_a_query(field: FieldDescriptor) -> bool:
    return field.is_repeated and field.message_type is not None


@pytest.mark.parametrize("method", METHODS, ids=name)
def test_what_does_not_fit_into_a_query_can_be_sent_as_a_body(method: MethodDescriptor) -> None:
    if any(map(does_not_fit_into_a_query, method.input_type.fields)):
        assert any(each.body for each in bindings_of(method)), "add a binding `post: …:search` with body `*`"


def test_no_internal_method_has_an_http_rule() -> None:
    every = descriptor_pb2.FileDescriptorSet.FromString(
        (ROOT / "libs/contracts/src/weft/descriptors.binpb").read_bytes()
    )
    public = {service.full_name for service in SERVICES}
    found = [
        f"{file.package}.{service.name}.{method.name}"
        for file in every.file
        for service in file.service
        for method in service.method
        if f"{file.package}.{service.name}" not in public and "google.api.http" in str(method.options)
    ]
    assert found == []


def test_envoy_knows_every_public_service() -> None:
    template = (ROOT / "deploy/envoy/envoy.template.yaml").read_text()
    listed = re.findall(r"^ +- (weft\.[a-z]+\.v1\.[A-Za-z]+)$", template, re.MULTILINE)
    assert listed == sorted(service.full_name for service in SERVICES)
