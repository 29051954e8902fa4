"""Where a stack is: the file that it leaves, and what an address says."""

from pathlib import Path

import pytest
from weft_cli import place
from weft_cli.stack.errors import StackError
from weft_cli.stack.startup import prepare_folder


@pytest.mark.parametrize(
    ("address", "target", "is_tls"),
    [
        ("127.0.0.1:7410", "127.0.0.1:7410", False),
        ("http://127.0.0.1:7410", "127.0.0.1:7410", False),
        ("http://weft.example/", "weft.example:80", False),
        ("https://weft.example", "weft.example:443", True),
        ("https://[::1]:8443", "[::1]:8443", True),
        ("https://[::1]", "[::1]:443", True),
    ],
)
def test_an_address_may_be_a_url_as_for_the_sdk(address: str, target: str, is_tls: bool) -> None:
    assert place.target_of(address) == (target, is_tls)


@pytest.mark.parametrize("content", ["{bad", '{"a": 1}', "5", ""])
def test_a_file_that_weft_up_did_not_write_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / place.FILE).write_text(content)
    with pytest.raises(ValueError, match=r"\S"):
        place.find_place(tmp_path)


def test_a_folder_that_cannot_be_one_is_told(tmp_path: Path) -> None:
    taken = tmp_path / "file"
    taken.touch()
    with pytest.raises(StackError, match="cannot be used"):
        prepare_folder(taken)
