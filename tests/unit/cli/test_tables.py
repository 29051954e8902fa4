"""Tables: what they leave out when it is narrow, colours only on terminals, one line a row."""

import io
import re

import pytest
from rich.console import Console
from weft_cli.console import Printer
from weft_cli.output import Output
from weft_cli.tables import Column, fitting, table_lines

ROWS = [("thr_1", "A title that is rather long", "running"), ("thr_2", "Two\nlines", "idle")]
COLUMNS = (
    Column[tuple[str, str, str]]("ID", lambda row: row[0]),
    Column[tuple[str, str, str]]("TITLE", lambda row: row[1], rank=2, width=8),
    Column[tuple[str, str, str]]("STATE", lambda row: row[2], rank=1, style=lambda row: "cyan"),
)


def printed(width: int, *, terminal: bool) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=terminal, color_system="standard" if terminal else None)
    printer = Printer(console)
    for line in table_lines(ROWS, COLUMNS, printer.width):
        printer.text(line)
    return out.getvalue()


@pytest.mark.parametrize(
    ("width", "heads"),
    [(80, ["ID", "TITLE", "STATE"]), (24, ["ID", "TITLE", "STATE"]), (20, ["ID", "STATE"]), (5, ["ID"])],
)
def test_what_matters_least_goes_first_when_it_is_narrow(width: int, heads: list[str]) -> None:
    assert [column.head for column in fitting(ROWS, COLUMNS, width)] == heads


@pytest.mark.parametrize("width", [24, 40, 80])
def test_no_line_is_longer_than_the_terminal(width: int) -> None:
    lines = [re.sub(r"\x1b\[[\d;]*m", "", line) for line in printed(width, terminal=True).splitlines()]
    assert len(lines) == 3, "one line a row"
    assert max(map(len, lines)) <= width
    assert ("…" in lines[1]) == (width < 45)
    assert lines[1].endswith("running"), "what may not be cut is whole"


def test_wide_characters_take_two_columns_each() -> None:
    columns = (Column[str]("TEXT", lambda text: text, width=4), Column[str]("LENGTH", lambda text: str(len(text))))
    lines = [line.plain for line in table_lines(["漢字漢字漢字", "x"], columns, 16)]
    assert lines == ["TEXT      LENGTH", "漢字漢…   6", "x         1"]


def test_a_pipe_gets_everything_without_colours() -> None:
    text = printed(20, terminal=False)
    assert "A title that is rather long" in text
    assert "Two lines" in text
    assert "\x1b" not in text


def test_states_are_coloured_on_a_terminal_unless_no_color_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[36m" in printed(80, terminal=True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[36m" not in printed(80, terminal=True)


def test_nothing_is_said_in_a_sentence() -> None:
    out = io.StringIO()
    Output(Printer(Console(file=out)), is_json=False).rows("threads", [], (), "no threads")
    assert out.getvalue() == "no threads\n"
