"""Requests against the rules in their contract, before the method sees them."""

from typing import Any

import protovalidate
from google.protobuf.message import Message
from weft_core.errors import FieldViolation, InvalidFieldsError

from weft_grpckit.context import Context
from weft_grpckit.contract import MethodContract
from weft_grpckit.interceptors.wrapping import Guard


class ValidationInterceptor(Guard):
    """Covers methods with one request; the messages of a request stream are for the servicer to check."""

    def check(self, contract: MethodContract, request: Any, context: Context) -> None:
        if not contract.is_client_streaming:
            validate(request)


def validate(message: Message) -> None:
    """Raises: InvalidFieldsError, naming each field that breaks its rule."""
    violations = protovalidate.collect_violations(message)
    if violations:
        raise InvalidFieldsError([_violation(each) for each in violations])


def _violation(violation: Any) -> FieldViolation:
    return FieldViolation(_path(violation), violation.proto.message, violation.proto.rule_id)


def _path(violation: Any) -> str:
    """Return a path as `parts[2].text`; a rule on a whole message has none."""
    path = violation.proto.field
    if path is None:
        return ""
    names = []
    for element in path.elements:
        subscript = element.subscript
        names.append(element.field_name + (f"[{subscript.value!r}]" if subscript is not None else ""))
    return ".".join(names)
