"""Every command's --help reads well: a sentence for the command, for each option and argument, and examples."""

from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner
from weft_cli.app import app


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, inner in sorted(getattr(command, "commands", {}).items()):
        yield from commands(inner, (*path, name))


EVERY = list(commands(typer.main.get_command(app)))
IDS = [" ".join(path) or "weft" for path, _ in EVERY]


@pytest.mark.parametrize(("path", "command"), EVERY, ids=IDS)
def test_help_says_what_the_command_and_each_of_its_options_do(path: tuple[str, ...], command: Any) -> None:
    shown = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert shown.exit_code == 0
    sentence = (command.help or "").strip().split("\n\n")[0]
    assert sentence.endswith(".")
    assert sentence[0].isupper()
    for parameter in command.params:
        told = getattr(parameter, "help", None)
        assert told, parameter.name
        assert told.strip().endswith((".", "…")), told
    if path and not getattr(command, "commands", {}):
        assert f"$ weft {' '.join(path)}" in shown.stdout, "an example"


@pytest.mark.parametrize(("path", "command"), EVERY, ids=IDS)
def test_help_fits_a_narrow_terminal(path: tuple[str, ...], command: Any) -> None:
    shown = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "60", "TERMINAL_WIDTH": "60"})
    assert shown.exit_code == 0
    assert max(map(len, shown.stdout.splitlines())) <= 60


def test_every_noun_of_the_everyday_work_is_there() -> None:
    assert {noun for noun in IDS if " " not in noun} >= {"threads", "runs", "agents", "tools", "documents", "usage"}
    assert set(IDS) >= {"threads archive", "runs wait", "agents create", "tools run", "documents put"}


def test_completion_can_be_installed() -> None:
    shown = CliRunner().invoke(app, ["--help"])
    assert "--install-completion" in shown.stdout


def test_an_unknown_command_names_the_nearest() -> None:
    shown = CliRunner().invoke(app, ["thread"])
    assert shown.exit_code == 2
    assert "threads" in shown.output
