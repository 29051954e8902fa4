"""The text of a PDF, page by page, as far as it goes."""

import logging
from collections.abc import Callable
from io import BytesIO

from pypdf import PageObject, PdfReader
from pypdf.errors import DependencyError, LimitReachedError

from weft_agent_runner.extraction.found import UnreadableError, malformed

MAX_PAGES = 2000


def text_of_pdf(content: bytes, max_characters: int, is_late: Callable[[], bool]) -> tuple[str, bool]:
    """Return the text, and whether there was more. `is_late` tells when to be content with what there is.

    Raises: UnreadableError. MemoryError.
    """
    logging.disable()  # it complains of every fault of a file
    try:
        return _read(_opened(content), max_characters, is_late)
    except (UnreadableError, MemoryError):
        raise
    except (LimitReachedError, RecursionError) as error:
        raise UnreadableError("TOO_COMPLEX", "it unpacks to more than a file may") from error
    except Exception as error:  # the library raises whatever comes when a file is broken
        raise malformed("it is no PDF that can be read; it may be damaged") from error


def _opened(content: bytes) -> PdfReader:
    reader = PdfReader(BytesIO(content), strict=False)
    if reader.is_encrypted and not _is_opened_by_no_password(reader):
        raise UnreadableError("ENCRYPTED", "it is encrypted; send it without a password")
    return reader


def _is_opened_by_no_password(reader: PdfReader) -> bool:
    """Many files are encrypted only to forbid printing: they open without a password."""
    try:
        return bool(reader.decrypt(""))
    except (DependencyError, NotImplementedError):
        return False


def _read(reader: PdfReader, max_characters: int, is_late: Callable[[], bool]) -> tuple[str, bool]:
    texts: list[str] = []
    size = faults = 0
    last: Exception | None = None
    for number, page in enumerate(reader.pages):
        if number == MAX_PAGES or size > max_characters or is_late():
            return _joined(texts), True
        try:
            texts.append(_text_of(page))
        except Exception as error:
            if isinstance(error, MemoryError | LimitReachedError) and not size:
                raise
            faults, last = faults + 1, error
            texts.append(f"[page {number + 1} could not be read]")
            continue
        size += len(texts[-1])
    if last is not None and faults == len(texts):
        raise last
    return _joined(texts), faults > 0


def _text_of(page: PageObject) -> str:
    return page.extract_text().strip()


def _joined(texts: list[str]) -> str:
    return "\n\n".join(text for text in texts if text)
