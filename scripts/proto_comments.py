"""The comments of the contracts, by the full names of what they are about."""

from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet

# Field numbers of descriptor.proto, which is how a source location says what it is about.
FILE_MESSAGE, FILE_ENUM, FILE_SERVICE = 4, 5, 6
MESSAGE_FIELD, MESSAGE_NESTED, MESSAGE_ENUM, ENUM_VALUE, SERVICE_METHOD = 2, 3, 4, 2, 2

Path = tuple[int, ...]


def comments_of(files: FileDescriptorSet) -> dict[str, str]:
    """Return the leading comment of each element that has one; the files need their source info."""
    found: dict[str, str] = {}
    for file in files.file:
        told = {
            tuple(location.path): clean(location.leading_comments)
            for location in file.source_code_info.location
            if location.leading_comments
        }
        found.update({name: told[path] for name, path in _elements(file) if path in told})
    return found


def clean(comment: str) -> str:
    """Return a comment as text: lines of a paragraph joined, paragraphs apart."""
    paragraphs = "\n".join(line.strip() for line in comment.strip().splitlines()).split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _elements(file: FileDescriptorProto) -> Iterator[tuple[str, Path]]:
    for index, message in enumerate(file.message_type):
        yield from _of_message(message, file.package, (FILE_MESSAGE, index))
    for index, enum in enumerate(file.enum_type):
        yield from _of_enum(enum, file.package, (FILE_ENUM, index))
    for index, service in enumerate(file.service):
        name, path = f"{file.package}.{service.name}", (FILE_SERVICE, index)
        yield name, path
        yield from _named(service.method, name, (*path, SERVICE_METHOD))


def _of_message(message: DescriptorProto, scope: str, path: Path) -> Iterator[tuple[str, Path]]:
    name = f"{scope}.{message.name}"
    yield name, path
    yield from _named(message.field, name, (*path, MESSAGE_FIELD))
    for index, nested in enumerate(message.nested_type):
        yield from _of_message(nested, name, (*path, MESSAGE_NESTED, index))
    for index, enum in enumerate(message.enum_type):
        yield from _of_enum(enum, name, (*path, MESSAGE_ENUM, index))


def _of_enum(enum: EnumDescriptorProto, scope: str, path: Path) -> Iterator[tuple[str, Path]]:
    yield f"{scope}.{enum.name}", path
    yield from _named(enum.value, scope, (*path, ENUM_VALUE))  # values stand beside their enum, not in it


def _named(elements: Any, scope: str, path: Path) -> Iterator[tuple[str, Path]]:
    for index, element in enumerate(elements):
        yield f"{scope}.{element.name}", (*path, index)
