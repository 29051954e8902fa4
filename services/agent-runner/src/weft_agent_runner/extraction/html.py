"""The text of a page: what a reader would see, line by line. Flat, so that no nesting is too deep."""

import re
from html.parser import HTMLParser

_HIDDEN = frozenset({"script", "style", "template"})
_BLOCKS = frozenset(
    """address article aside blockquote body br caption dd details div dl dt fieldset figcaption figure footer form h1
    h2 h3 h4 h5 h6 head header hr html li main nav ol option p pre section summary table tbody tfoot thead title tr
    ul""".split()  # noqa: SIM905 - a list of forty words in quotes reads worse
)
_CELLS = frozenset({"td", "th"})
_SPACES = re.compile(r"[ \t\r\n\f\v]+")
_BLANKS = re.compile(r"\n{3,}")


class _FullError(Exception):
    """There is as much text as is kept."""


class _Reader(HTMLParser):
    def __init__(self, max_characters: int) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._room = max_characters
        self._hidden = 0
        self._preformatted = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _HIDDEN:
            self._hidden += 1
        elif tag in _BLOCKS:
            self._break("- " if tag == "li" else "")
            self._preformatted += tag == "pre"
        elif tag in _CELLS:
            self._put("\t")
        elif tag == "img":
            self._put(dict(attrs).get("alt") or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _HIDDEN:  # `<script/>` hides nothing
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in _HIDDEN:
            self._hidden = max(0, self._hidden - 1)
        elif tag in _BLOCKS:
            self._break()
            self._preformatted = max(0, self._preformatted - (tag == "pre"))

    def handle_data(self, data: str) -> None:
        if not self._preformatted:
            data = _SPACES.sub(" ", data)
            is_line_begun = self.pieces and not self.pieces[-1].endswith(("\n", " "))
            data = data if is_line_begun else data.lstrip(" ")
        self._put(data)

    def _break(self, beginning: str = "") -> None:
        if self.pieces[-2:] != ["\n", "\n"]:
            self._put("\n")
        self._put(beginning)

    def _put(self, text: str) -> None:
        if self._hidden or not text:
            return
        self.pieces.append(text)
        self._room -= len(text)
        if self._room < 0:
            raise _FullError


def text_of_page(page: str, max_characters: int) -> tuple[str, bool]:
    """Return the text, and whether there was more."""
    reader = _Reader(max_characters)
    is_truncated = False
    try:
        reader.feed(page)
        reader.close()
    except _FullError:
        is_truncated = True
    lines = "\n".join(line.rstrip() for line in "".join(reader.pieces).split("\n"))
    return _BLANKS.sub("\n\n", lines).strip("\n"), is_truncated
