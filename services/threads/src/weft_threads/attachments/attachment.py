"""Files as values, and what a model is told of one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

# Of the names that mean one thing only; what others are is told by their content.
_TYPES: Final[Mapping[str, str]] = {
    "csv": "text/csv",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "htm": "text/html",
    "html": "text/html",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "json": "application/json",
    "log": "text/plain",
    "markdown": "text/markdown",
    "md": "text/markdown",
    "pdf": "application/pdf",
    "png": "image/png",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "txt": "text/plain",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "xml": "application/xml",
    "yaml": "application/yaml",
    "yml": "application/yaml",
    "zip": "application/zip",
}


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file as it comes in. `media_type` is empty where neither the caller nor the name tells."""

    name: str
    media_type: str
    content: bytes
    sha256: bytes


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What the database has of a file, beside its content."""

    size_bytes: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Extracted:
    """The text of a file; `media_type` is what it turned out to be."""

    text: str
    is_truncated: bool
    media_type: str


@dataclass(frozen=True, slots=True)
class Failed:
    """Why there is no text. `reason` is a name of AttachmentFailure.Reason, in lower case."""

    reason: str
    message: str


def media_type_of(name: str) -> str:
    """Return what a name says of its file; empty when it says nothing."""
    return _TYPES.get(name.rpartition(".")[2].lower(), "")
