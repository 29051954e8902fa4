"""Text in whatever encoding it comes."""

import codecs
import re

from weft_agent_runner.extraction.found import unsupported

_MARKS = (  # the longer first: UTF-32's begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CHARSET = re.compile(r"charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]+)", re.IGNORECASE)
_META = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]+)", re.IGNORECASE)
_CONTROLS = bytes(set(range(32)) - {9, 10, 12, 13, 27})
_MAX_CONTROLS = 0.1  # of bytes that are UTF-8, or that somebody named the charset of
_MAX_CONTROLS_UNTOLD = 0.02  # of others: what is packed or encrypted has a tenth, and any bytes are a text to Windows
_SAMPLE = 64 * 1024
_NUL_SHARE = 0.3  # of every second byte: text of few scripts, in UTF-16 without a mark


def charset_of(media_type: str) -> str:
    found = _CHARSET.search(media_type)
    return found[1] if found else ""


def declared_in_html(content: bytes) -> str:
    found = _META.search(content[:2048])
    return found[1].decode("ascii") if found else ""


def decode(content: bytes, charset: str = "") -> str:
    """Return the text. A mark at its beginning counts first, then UTF-8 if it is that, then what was declared, then the
    Latin alphabet of Windows.

    Raises: UnreadableError: it is no text.
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding, "replace")
    if encoding := _utf16_without_mark(content):
        return content.decode(encoding, "replace")
    sample = content[:_SAMPLE]
    controls = (len(sample) - len(sample.translate(None, _CONTROLS))) / max(1, len(sample))
    if controls > _MAX_CONTROLS:
        raise unsupported("it is binary, not text")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        known = _known(charset)
        if not known and controls > _MAX_CONTROLS_UNTOLD:
            raise unsupported("it is binary, not text") from None
        return content.decode(known or "cp1252", "replace")


def _utf16_without_mark(content: bytes) -> str:
    sample = content[:_SAMPLE]
    half = len(sample) // 2
    if half < 2 or len(content) % 2:
        return ""
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if odd > _NUL_SHARE * half and even < odd / 10:
        return "utf-16-le"
    return "utf-16-be" if even > _NUL_SHARE * half and odd < even / 10 else ""


def _known(charset: str) -> str:
    """Return the codec of a charset; "" for one that is unknown, or no charset at all."""
    try:
        codec = codecs.lookup(charset)
        b" ".decode(codec.name)
    except (LookupError, ValueError):
        return ""
    # As browsers read it: what calls itself Latin-1 is the alphabet of Windows.
    return "cp1252" if codec.name in ("iso8859-1", "ascii") else codec.name
