"""JSON Schema of protobuf messages as their JSON is, with the rules that protovalidate holds requests to."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from buf.validate import validate_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, OneofDescriptor

Schema: TypeAlias = dict[str, Any]

_RULES: Final[Any] = validate_pb2  # made at run time, so nothing is known of its types

_INTS: Final = {
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_UINT32: "uint32",
    FieldDescriptor.TYPE_SINT32: "int32",
}
_LONGS: Final = {FieldDescriptor.TYPE_INT64: "int64", FieldDescriptor.TYPE_UINT64: "uint64"}
_WELL_KNOWN: Final[Mapping[str, Schema]] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": r"^-?[0-9]{1,12}(\.[0-9]{1,9})?s$"},
    "google.protobuf.FieldMask": {"type": "string"},
    "google.protobuf.Any": {
        "type": "object",
        "properties": {"@type": {"type": "string"}},
        "required": ["@type"],
    },
}
# protovalidate's word, and JSON Schema's.
_NUMBERS: Final = {"gte": "minimum", "lte": "maximum", "gt": "exclusiveMinimum", "lt": "exclusiveMaximum"}
_STRINGS: Final = {"min_len": "minLength", "max_len": "maxLength", "max_bytes": "maxLength", "pattern": "pattern"}
_LISTS: Final = {"min_items": "minItems", "max_items": "maxItems", "unique": "uniqueItems"}


class Schemas:
    """Makes schemas; those of whole messages are collected in `components` and referred to."""

    def __init__(self, comments: Mapping[str, str]) -> None:
        """`comments` are by full name, of messages, fields and enum values."""
        self._comments = comments
        self.components: dict[str, Schema] = {}

    def of_message(self, message: Descriptor) -> Schema:
        known = _WELL_KNOWN.get(message.full_name)
        if known is not None:
            return dict(known)
        if message.full_name not in self.components:
            self.components[message.full_name] = {}  # a message may hold itself
            self.components[message.full_name] = self.of_fields(message, message.fields)
        return {"$ref": f"#/components/schemas/{message.full_name}"}

    def of_fields(self, message: Descriptor, fields: Iterable[FieldDescriptor]) -> Schema:
        """Return the schema of a message that has only these of its fields."""
        kept = list(fields)
        schema: Schema = {
            "type": "object",
            "description": self._comments.get(message.full_name, ""),
            "properties": {field.json_name: self.of_field(field) for field in kept},
        }
        if required := [field.json_name for field in kept if is_required(field)]:
            schema["required"] = required
        choices = [_one_of(oneof, kept) for oneof in message.oneofs if _is_required_choice(oneof, kept)]
        if choices:
            schema["allOf"] = choices
        return schema

    def of_field(self, field: FieldDescriptor, *, in_query: bool = False) -> Schema:
        rules = rules_of(field)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            schema = self._map(field.message_type, rules.map)
        elif field.is_repeated:
            schema = {"type": "array", "items": self._single(field, rules.repeated.items, in_query)}
            schema |= _translated(rules.repeated, _LISTS)
        else:
            schema = self._single(field, rules, in_query)
        return schema | {"description": self._comments.get(field.full_name, "")}

    def _map(self, entry: Descriptor, rules: Any) -> Schema:
        key, value = (entry.fields_by_name[name] for name in ("key", "value"))
        schema: Schema = {
            "type": "object",
            "propertyNames": self._single(key, rules.keys, False),
            "additionalProperties": self._single(value, rules.values, False),
        }
        return schema | _translated(rules, {"max_pairs": "maxProperties", "min_pairs": "minProperties"})

    def _single(self, field: FieldDescriptor, rules: Any, in_query: bool) -> Schema:
        if field.message_type is not None:
            return self.of_message(field.message_type)
        if field.enum_type is not None:
            return self._enum(field.enum_type, rules.enum)
        if field.type in _LONGS:
            return _long(_LONGS[field.type], rules, in_query)
        if field.type in _INTS:
            return {"type": "integer", "format": _INTS[field.type], **_translated(rules.int32, _NUMBERS)}
        if field.type == FieldDescriptor.TYPE_BOOL:
            return {"type": "boolean"}
        if field.type in (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT):
            return {"type": "number", **_translated(rules.double, _NUMBERS)}
        if field.type == FieldDescriptor.TYPE_BYTES:
            return {"type": "string", "contentEncoding": "base64"}
        if field.type != FieldDescriptor.TYPE_STRING:
            raise NotImplementedError(f"{field.full_name}: a type that no contract had so far")
        return {"type": "string", **_translated(rules.string, _STRINGS), **_values(rules.string)}

    def _enum(self, enum: EnumDescriptor, rules: Any) -> Schema:
        if rules.not_in:
            return {"type": "string", "enum": [each.name for each in enum.values if each.number not in rules.not_in]}
        scope = enum.full_name.rpartition(".")[0]  # values stand beside their enum
        told = [f"- `{value.name}`: {self._comments.get(f'{scope}.{value.name}', '')}" for value in enum.values]
        self.components[enum.full_name] = {
            "type": "string",
            "description": "\n".join([self._comments.get(enum.full_name, ""), "", *told]),
            "enum": [value.name for value in enum.values],
        }
        return {"$ref": f"#/components/schemas/{enum.full_name}"}


def rules_of(field: FieldDescriptor) -> Any:
    """Return the rules of a field; empty ones where it has none."""
    return field.GetOptions().Extensions[_RULES.field]


def is_required(field: FieldDescriptor) -> bool:
    """Say whether a request without this field breaks a rule."""
    rules = rules_of(field)
    if rules.required:
        return True
    if field.is_repeated:
        return bool(rules.repeated.min_items)
    if field.has_presence:
        return False
    text = rules.string
    if text.min_len or (text.pattern and re.search(text.pattern, "") is None):
        return True
    return any(number.HasField("gte") and number.gte > 0 for number in (rules.int32, rules.int64))


def _is_required_choice(oneof: OneofDescriptor, kept: list[FieldDescriptor]) -> bool:
    """Say whether one of a oneof must be set, and all of it can be."""
    return bool(oneof.GetOptions().Extensions[_RULES.oneof].required) and set(oneof.fields) <= set(kept)


def _one_of(oneof: OneofDescriptor, kept: list[FieldDescriptor]) -> Schema:
    return {"oneOf": [{"required": [field.json_name]} for field in oneof.fields if field in kept]}


def _long(name: str, rules: Any, in_query: bool) -> Schema:
    """JSON has no 64-bit numbers: protobuf writes them as strings, and takes both."""
    bounds = _translated(rules.int64, _NUMBERS)
    if in_query:
        return {"type": "integer", "format": name, **bounds}
    sign = "" if name == "uint64" or bounds.get("minimum", -1) >= 0 else "-?"
    return {"type": "string", "format": name, "pattern": f"^{sign}[0-9]{{1,19}}$"}


def _values(rules: Any) -> Schema:
    allowed = list(getattr(rules, "in"))
    return {"enum": allowed} if allowed else {}


def _translated(rules: Any, words: Mapping[str, str]) -> Schema:
    return {ours: getattr(rules, theirs) for theirs, ours in words.items() if rules.HasField(theirs)}
