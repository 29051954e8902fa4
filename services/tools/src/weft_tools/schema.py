"""JSON Schema, compiled once for each tool."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from weft_core.errors import FieldViolation
from weft_core.text import cut_to_code_points

from weft_tools.domain.arguments import MAX_VIOLATIONS
from weft_tools.domain.registry import Check, ToolDefinitionError
from weft_tools.domain.tool import Tool

MAX_DESCRIPTION_CHARACTERS = 300


def compile_schema(tool: Tool) -> Check:
    """Raises: ToolDefinitionError."""
    try:
        Draft202012Validator.check_schema(tool.parameters)
    except SchemaError as error:
        raise ToolDefinitionError(f"tool {tool.name!r}: its schema is wrong: {error.message}") from error
    validator = Draft202012Validator(tool.parameters)

    def check(arguments: Mapping[str, Any]) -> Sequence[FieldViolation]:
        violations: list[FieldViolation] = []
        for error in validator.iter_errors(arguments):
            violations.append(_violation(error))
            if len(violations) == MAX_VIOLATIONS:
                break
        return violations

    return check


def _violation(error: ValidationError) -> FieldViolation:
    description = cut_to_code_points(error.message, MAX_DESCRIPTION_CHARACTERS)
    return FieldViolation(_path(error.absolute_path), description, f"json_schema.{error.validator}")


def _path(steps: Iterable[str | int]) -> str:
    """Return `arguments.items[2].name`."""
    return "arguments" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
