"""What the commands print: rich on a terminal, plain lines otherwise."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.table import Table
from rich.text import Text


class Printer:
    """Lines of text with an optional style, which only a terminal shows; a line begins after a piece of another."""

    def __init__(self, console: Console | None = None, errors: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._errors = errors or Console(stderr=True, highlight=False)
        self._part_of: str | None = None

    @property
    def is_terminal(self) -> bool:
        return self._console.is_terminal

    @property
    def width(self) -> int | None:
        """How many columns fit on the terminal; None where there is none."""
        return self._console.width if self._console.is_terminal else None

    def raw(self, text: str) -> None:
        """Text as it is, whatever is in it."""
        self.end_parts()
        self._console.file.write(text + "\n")

    def text(self, text: Text) -> None:
        """A line with styles of its own."""
        self.end_parts()
        self._console.print(text, soft_wrap=True)

    def pair(self, name: str, text: str, style: str = "") -> None:
        """A name, dimmed, and what it has."""
        self.end_parts()
        self._console.print(Text.assemble((name, "dim"), "  ", (text, style)), soft_wrap=True)

    def line(self, text: str = "", style: str = "") -> None:
        self.end_parts()
        self._console.print(Text(text, style), soft_wrap=True)

    def part(self, text: str, owner: str = "", style: str = "") -> None:
        """A piece of text, shown at once, after the owner's last one."""
        if self._part_of != owner:
            self.end_parts()
            self._part_of = owner
            text = owner + text
        self._console.print(Text(text, style), end="", soft_wrap=True)
        self._console.file.flush()

    def end_parts(self) -> None:
        """End the line that pieces have left open."""
        if self._part_of is not None:
            self._part_of = None
            self._console.print()

    def title(self, text: str) -> None:
        self.line()
        if self._console.is_terminal:
            self._console.rule(Text(text, "bold cyan"), align="left")
        else:
            self.line(f"== {text}")

    def error(self, text: str) -> None:
        self.end_parts()
        self._errors.print(Text(text, "red"), soft_wrap=True)

    def error_line(self, text: str) -> None:
        """Beside the output: what is under way."""
        self.end_parts()
        self._errors.print(Text(text, "dim"), soft_wrap=True)

    def table(self, heads: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
        if not self._console.is_terminal:
            for row in rows:
                self.line("  " + "  ".join(f"{cell:<14}" for cell in row).rstrip())
            return
        table = Table(*heads, header_style="bold")
        for row in rows:
            table.add_row(*row)
        self._console.print(table)

    @contextmanager
    def working(self, text: str) -> Iterator[None]:
        """A spinner on a terminal."""
        if not self._console.is_terminal:
            yield
            return
        with self._console.status(text):
            yield
