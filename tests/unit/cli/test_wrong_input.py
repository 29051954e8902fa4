"""What nothing can be done with is told in one line, before anything is called."""

from pathlib import Path

import pytest
from typer.testing import CliRunner
from weft_cli.app import app
from weft_cli.place import FILE

NOWHERE = ("--address", "127.0.0.1:1")


def told(*words: str) -> str:
    ended = CliRunner().invoke(app, words, env={"WEFT_ADDRESS": "", "WEFT_API_KEY": ""}, catch_exceptions=False)
    assert (ended.exit_code, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    return line


@pytest.mark.parametrize("key", ["schlüssel", "two\nlines"])
def test_a_key_that_is_none(key: str) -> None:
    assert "characters that no key has" in told("threads", "list", *NOWHERE, "--api-key", key)


def test_words_that_are_not_utf_8() -> None:
    assert "is not UTF-8" in told("chat", "bad \udcff", *NOWHERE, "--api-key", "weft_key")


def test_a_broken_file_of_a_stack(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("{bad")
    line = told("threads", "list", "--data-dir", str(tmp_path))
    assert FILE in line
    assert "`weft up` writes it anew" in line


def test_documents_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff")
    key = ("--api-key", "weft_key")
    assert "it is not UTF-8" in told("documents", "put", str(tmp_path / "picture.png"), *NOWHERE, *key)
    none = tmp_path / "none.md"
    assert told("documents", "put", str(none), *NOWHERE, *key).endswith(
        f"{none} cannot be read: No such file or directory"
    )


def test_an_attachment_that_cannot_be_read() -> None:
    line = told("chat", "hello", "--file", "/proc/self/mem", *NOWHERE, "--api-key", "weft_key")
    assert line.startswith("error: /proc/self/mem cannot be read")


def test_a_seq_beyond_all_numbers() -> None:
    words = ("events", "run_1", "--after", "9" * 20, *NOWHERE, "--api-key", "weft_key")
    ended = CliRunner().invoke(app, words, catch_exceptions=False)
    assert ended.exit_code == 2
    assert "--after" in ended.output
