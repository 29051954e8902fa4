"""Tables that fit a terminal: one line a row; what does not matter most goes first when it is narrow."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from rich.cells import cell_len, set_cell_size
from rich.text import Text

T = TypeVar("T")
GAP = 2


def _plain(_item: Any) -> str:
    return ""


@dataclass(frozen=True)
class Column(Generic[T]):
    """`rank`: 0 always shows; the higher, the earlier it goes. `width`: what a text that may be cut needs at least, 0
    for one that may not."""

    head: str
    text: Callable[[T], str]
    rank: int = 0
    width: int = 0
    style: Callable[[T], str] = _plain
    is_number: bool = False


def table_lines(items: Sequence[T], columns: Sequence[Column[T]], width: int | None) -> Iterator[Text]:
    """Yield the lines of a table. `width` None is as wide as it comes, with all columns."""
    shown = list(columns) if width is None else fitting(items, columns, width)
    widths = _shrunk([_needed(items, column) for column in shown], shown, width)
    yield _line([Text(column.head, "bold") for column in shown], shown, widths)
    for item in items:
        yield _line([Text(one_line(column.text(item)), column.style(item)) for column in shown], shown, widths)


def fitting(items: Sequence[T], columns: Sequence[Column[T]], width: int) -> list[Column[T]]:
    """Return the columns that fit; those of the highest rank are left out first."""
    shown = list(columns)
    while _total([column.width or _needed(items, column) for column in shown]) > width:
        last = max(shown, key=lambda column: column.rank)
        if last.rank == 0:
            break
        shown.remove(last)
    return shown


def one_line(text: str) -> str:
    return " ".join(text.split())


def _shrunk(widths: list[int], columns: Sequence[Column[T]], limit: int | None) -> list[int]:
    """Take from the columns that may be cut what is too much."""
    excess = 0 if limit is None else max(0, _total(widths) - limit)
    for at, column in enumerate(columns):
        if column.width:
            taken = min(excess, max(0, widths[at] - column.width))
            widths[at] -= taken
            excess -= taken
    return widths


def _line(cells: Sequence[Text], columns: Sequence[Column[T]], widths: Sequence[int]) -> Text:
    line = Text()
    for cell, column, width in zip(cells, columns, widths, strict=True):
        line.append(" " * GAP if line.plain else "")
        text = cell.plain
        if cell_len(text) > width:
            text = set_cell_size(text, width - 1).rstrip() + "…"
        spare = " " * (width - cell_len(text))
        line.append(spare if column.is_number else "")
        line.append(text, cell.style)
        line.append("" if column.is_number else spare)
    line.rstrip()
    return line


def _needed(items: Sequence[T], column: Column[T]) -> int:
    return max(cell_len(column.head), *(cell_len(one_line(column.text(item))) for item in items))


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)
