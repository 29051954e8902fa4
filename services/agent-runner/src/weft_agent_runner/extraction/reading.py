"""From bytes to text."""

from collections.abc import Callable

from weft_core.text import byte_length, cut_to_bytes, storable

from weft_agent_runner.extraction import html, plain
from weft_agent_runner.extraction.found import Found, UnreadableError
from weft_agent_runner.extraction.kinds import Kind, kind_of

Reading = tuple[str, bool]


def read_file(media_type: str, content: bytes, max_bytes: int, is_late: Callable[[], bool] = lambda: False) -> Found:
    """Return the text of a file, at most `max_bytes` in UTF-8.

    Raises: UnreadableError. MemoryError.
    """
    kind, found_type = kind_of(media_type, content)
    text, is_truncated = _read(kind, media_type, content, max_bytes, is_late)
    text = storable(text)
    if not text.strip():
        raise UnreadableError("EMPTY", "there is no text in it")
    cut = cut_to_bytes(text, max_bytes)
    return Found(cut, found_type, is_truncated or byte_length(cut) < byte_length(text))


def _read(kind: Kind, media_type: str, content: bytes, max_bytes: int, is_late: Callable[[], bool]) -> Reading:
    if kind is Kind.PDF:
        from weft_agent_runner.extraction import pdf  # loads for a while, and only PDFs need it

        return pdf.text_of_pdf(content, max_bytes, is_late)
    charset = plain.charset_of(media_type)
    if kind is Kind.HTML:
        return html.text_of_page(plain.decode(content, charset or plain.declared_in_html(content)), max_bytes)
    return plain.decode(content, charset), False
