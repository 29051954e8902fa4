"""What comes in, made storable: PostgreSQL's text cannot hold NUL."""

from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from weft_core.text import storable
from weft_grpckit.context import Context
from weft_grpckit.contract import MethodContract
from weft_grpckit.interceptors.wrapping import Guard


class StorableTextGuard(Guard):
    """Replaces NUL by U+FFFD in every text of a request. Lone surrogates cannot come: protobuf refuses them."""

    def check(self, contract: MethodContract, request: Any, context: Context) -> None:
        if isinstance(request, Message) and b"\0" in request.SerializeToString():
            make_storable(request)


def make_storable(message: Message) -> None:
    """Replace what PostgreSQL's text cannot hold, in the message and all that it holds."""
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            _mend_map(field.message_type, value)
        elif field.message_type is not None:
            for each in value if field.is_repeated else [value]:
                make_storable(each)
        elif field.type == FieldDescriptor.TYPE_STRING:
            _mend_text(message, field, value)


def _mend_text(message: Message, field: FieldDescriptor, value: Any) -> None:
    if field.is_repeated:
        value[:] = [storable(each) for each in value]
    else:
        setattr(message, field.name, storable(value))


def _mend_map(entry: Descriptor, value: Any) -> None:
    kinds = entry.fields_by_name
    if kinds["value"].message_type is not None:
        for each in value.values():
            make_storable(each)
        return
    is_text = [kinds[name].type == FieldDescriptor.TYPE_STRING for name in ("key", "value")]
    items = [(storable(k) if is_text[0] else k, storable(v) if is_text[1] else v) for k, v in value.items()]
    value.clear()
    value.update(items)
