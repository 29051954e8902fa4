"""The text of an HTML page.

Pages are hostile: parsers that build a tree take minutes, or the process with them, for a megabyte of nested tags. This
reads a page once from its beginning to its end and builds nothing, so its time grows with the length alone.
"""

import html
import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urljoin

_TAG: Final = re.compile(r"""(/?)([a-z][a-z0-9:-]*+)((?:[^"'>]++|"[^"]*+"|'[^']*+')*+)>""", re.IGNORECASE)
_HREF: Final = re.compile(r"""\shref\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)
_MAX_LINK_CHARACTERS: Final = 500
_MAX_LINKS: Final = 1_000
_UNSEEN: Final = frozenset({"script", "style", "template", "svg", "noscript", "iframe", "object", "math"})
_BLOCK: Final = re.compile(
    "address|article|aside|blockquote|body|br|d[dlt]|div|fieldset|figcaption|figure|footer|form|h[1-6r]|head|header|li"
    "|main|nav|ol|option|p|pre|section|summary|table|title|tr|ul"
)


@dataclass(slots=True)
class PageText:
    """`title` may be empty. `text` has a line for each block, and the address of a link behind its words."""

    title: str
    text: str


def page_text(source: str, base_url: str) -> PageText:
    """Return what a reader of the page would see. `base_url` completes its links."""
    page = _Page(source, base_url)
    page.read()
    return PageText(_on_one_line("".join(page.title_pieces)), _lines_of("".join(page.pieces)))


@dataclass(slots=True)
class _Page:
    source: str
    base_url: str
    lowered: str = ""
    pieces: list[str] = field(default_factory=list)
    title_pieces: list[str] = field(default_factory=list)
    is_in_title: bool = False
    link: str = ""
    links: int = 0

    def read(self) -> None:
        # Of bytes, lower() changes ASCII only, so that places in both texts are the same.
        self.lowered = self.source.encode("utf-8", "replace").lower().decode()
        self.source = self.source.encode("utf-8", "replace").decode()
        at = 0
        while (start := self.source.find("<", at)) >= 0:
            self._say(self.source[at:start])
            at = self._after_markup(start)
        self._say(self.source[at:])

    def _after_markup(self, start: int) -> int:
        """Take in what begins with `<` at `start`. Returns where the text goes on."""
        if self.source.startswith("<!--", start):
            return self._behind("-->", start + 4)
        if self.source[start + 1 : start + 2] in ("!", "?"):
            return self._behind(">", start)
        tag = _TAG.match(self.source, start + 1)
        if tag is not None:
            return self._after_tag(tag)
        if self.source[start + 1 : start + 2].isalpha():
            return len(self.source)  # a tag that never ends
        self._say("<")
        return start + 1

    def _after_tag(self, tag: re.Match[str]) -> int:
        is_end, name = bool(tag[1]), tag[2].lower()
        if name in _UNSEEN and not is_end and not tag[3].endswith("/"):
            return self._behind(">", self._behind(f"</{name}", tag.end()))
        if name == "title":
            self.is_in_title = not is_end
        elif name == "a":
            self._end_link()
            self.link = "" if is_end else self._link_in(tag[3])
        elif name in ("td", "th"):
            self.pieces += [" | "] if is_end else []
        elif _BLOCK.fullmatch(name):
            self.pieces.append("\n- " if name == "li" and not is_end else "\n")
        return tag.end()

    def _behind(self, mark: str, start: int) -> int:
        found = self.lowered.find(mark, start)
        return len(self.source) if found < 0 else found + len(mark)

    def _say(self, text: str) -> None:
        pieces = self.title_pieces if self.is_in_title else self.pieces
        pieces.append(html.unescape(text))

    def _end_link(self) -> None:
        if self.link:
            self.pieces.append(f" ({self.link})")
            self.links += 1

    def _link_in(self, attributes: str) -> str:
        found = _HREF.search(attributes[: 4 * _MAX_LINK_CHARACTERS])
        if found is None or self.links >= _MAX_LINKS:
            return ""
        try:
            link = urljoin(self.base_url, html.unescape(found[1] or found[2] or found[3] or "").strip())
        except ValueError:
            return ""
        is_shown = link.startswith(("http://", "https://")) and len(link) <= _MAX_LINK_CHARACTERS
        return link if is_shown and link.partition("#")[0] != self.base_url else ""


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


def _lines_of(text: str) -> str:
    lines = [_on_one_line(line) for line in text.split("\n")]
    return "\n".join(line for line in lines if line.strip("- |"))
