"""Update masks (AIP-134): which fields a caller wants to change."""

from collections.abc import Collection, Iterable

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from weft_core.errors import FieldViolation, InvalidFieldsError


def wanted_paths(request: Message, allowed: Collection[str], *, implied: Iterable[str]) -> frozenset[str]:
    """Return the paths of `request.update_mask`; an empty one means those of `implied` that are set.

    Raises: InvalidFieldsError: a path is none of `allowed`, or nothing is left to change.
    """
    mask: FieldMask = getattr(request, "update_mask")  # noqa: B009 - every update request has one
    paths = frozenset(mask.paths) or frozenset(name for name in implied if _is_set(request, name))
    wrong = sorted(paths - frozenset(allowed))
    if wrong:
        told = f"{wrong[0]!r} cannot be changed; those that can are {', '.join(sorted(allowed))}"
        raise InvalidFieldsError([FieldViolation("update_mask", told, "mask")])
    if not paths:
        raise InvalidFieldsError([FieldViolation("update_mask", "names no field, and none is set", "mask")])
    return paths


def require_filled(request: Message, paths: Collection[str], names: Iterable[str]) -> None:
    """Raises: InvalidFieldsError: the mask names a field that must not be emptied, and it is empty."""
    empty = [name for name in names if name in paths and not _is_set(request, name)]
    if empty:
        raise InvalidFieldsError([FieldViolation(name, "must not be empty", "required") for name in empty])


def _is_set(request: Message, name: str) -> bool:
    field = request.DESCRIPTOR.fields_by_name[name]
    value = getattr(request, name)
    return request.HasField(name) if field.message_type and not field.is_repeated else bool(value)
