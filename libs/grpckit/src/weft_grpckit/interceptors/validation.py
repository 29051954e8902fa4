"""Requests against the rules in their contract, before the method sees them."""

import re
from typing import Any, Final

import protovalidate
from google.protobuf.message import Message
from weft_core.errors import FieldViolation, InvalidFieldsError
from weft_core.ids import parse_id

from weft_grpckit.context import Context
from weft_grpckit.contract import MethodContract
from weft_grpckit.interceptors.wrapping import Guard

# How the contract says that a field holds an id: `^run_[0-7]…$`, or `^(run_[0-7]…)?$` where it may be empty.
_ID_PATTERN: Final = re.compile(r"\^\(?([a-z]{3})_\[0-7\]")


class ValidationInterceptor(Guard):
    """Covers methods with one request; the messages of a request stream are for the servicer to check."""

    def check(self, contract: MethodContract, request: Any, context: Context) -> None:
        if not contract.is_client_streaming:
            validate(request)


def validate(message: Message) -> None:
    """Raises: InvalidFieldsError, naming each field that breaks its rule."""
    violations = protovalidate.collect_violations(message)
    if violations:
        raise InvalidFieldsError([_violation(each, message) for each in violations])


def _violation(violation: Any, message: Message) -> FieldViolation:
    path, rule = _path(violation), violation.proto.rule_id
    told = _id_fault(violation, path) or _oneof_fault(message, path) or _empty_fault(violation)
    return FieldViolation(path, told or violation.proto.message, rule)


def _empty_fault(violation: Any) -> str:
    """Say plainly that a text is missing; "" for any other fault."""
    is_missing = violation.proto.rule_id == "string.min_len" and not violation.field_value
    return "must not be empty" if is_missing else ""


def _oneof_fault(message: Message, path: str) -> str:
    """Name what a oneof of the request may be; "" for any other field."""
    oneof = message.DESCRIPTOR.oneofs_by_name.get(path)
    return f"set one of {', '.join(field.name for field in oneof.fields)}" if oneof is not None else ""


def _id_fault(violation: Any, path: str) -> str:
    """Say of a wrong id which kind it is and which is needed; "" where the field is for something else."""
    kind = _ID_PATTERN.match(str(violation.rule_value)) if violation.proto.rule_id == "string.pattern" else None
    if kind is None:
        return ""
    try:
        parse_id(kind[1], str(violation.field_value), path)
    except InvalidFieldsError as error:
        return error.violations[0].description
    return ""


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
