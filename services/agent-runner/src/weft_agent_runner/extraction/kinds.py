"""What a file is. Its first bytes are believed before what its sender or its name says."""

from enum import StrEnum

from weft_agent_runner.extraction.found import malformed, unsupported


class Kind(StrEnum):
    PDF = "pdf"
    HTML = "html"
    TEXT = "text"


_PDF = b"%PDF-"
_PDF_HEADER_WITHIN = 1024  # readers take a header that comes a little later
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF87a", "a GIF image"),
    (b"GIF89a", "a GIF image"),
    (b"PK\x03\x04", "a ZIP archive, as office documents are"),
    (b"PK\x05\x06", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh9", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x7fELF", "a program"),
    (b"\xcf\xfa\xed\xfe", "a program"),
    (b"MZ\x90\x00", "a program"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old office document"),
    (b"OggS", "sound"),
    (b"ID3", "sound"),
    (b"SQLite format 3\x00", "a database"),
)
_HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})
_TEXT_TYPES = frozenset(
    {
        "application/json",
        "application/xml",
        "application/yaml",
        "application/x-yaml",
        "application/toml",
        "application/javascript",
        "application/x-sh",
        "application/x-ndjson",
        "application/sql",
        "message/rfc822",
    }
)
_UNTOLD = frozenset({"", "application/octet-stream"})
_HTML_BEGINNINGS = (b"<!doctype html", b"<html")


def kind_of(media_type: str, content: bytes) -> tuple[Kind, str]:
    """Return how a file is read, and its media type.

    Raises: UnreadableError.
    """
    told = media_type.partition(";")[0].strip().lower()
    if content.startswith(_PDF):
        return Kind.PDF, "application/pdf"
    for signature, name in _SIGNATURES:
        if content.startswith(signature):
            raise unsupported(f"it is {name}; text, Markdown, HTML and PDF are read")
    if told == "application/pdf":
        if _PDF in content[:_PDF_HEADER_WITHIN]:
            return Kind.PDF, told
        raise malformed("it is said to be a PDF, and is none")
    if told in _HTML_TYPES or (told in _UNTOLD and content[:1024].lstrip().lower().startswith(_HTML_BEGINNINGS)):
        return Kind.HTML, told if told in _HTML_TYPES else "text/html"
    if told in _UNTOLD:
        return Kind.TEXT, "text/plain"
    if told.startswith("text/") or told in _TEXT_TYPES or told.endswith(("+json", "+xml", "+yaml")):
        return Kind.TEXT, told
    raise unsupported(f"its type is {told}; text, Markdown, HTML and PDF are read")
