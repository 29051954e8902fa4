"""Every block of code in a document is run by tests/e2e/test_readme.py, or says why it is not."""

import re

import pytest
from snippets import BLOCKS, ROOT, Block

CODE = 'print("x")\n'


def test_every_block_is_code_that_is_run_or_says_why_not() -> None:
    assert [fault for block in BLOCKS for fault in block.faults()] == []


def test_blocks_that_are_not_run_name_commands_that_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {each for block in BLOCKS if block.reason for each in re.findall(r"^make (\w+)$", block.text, re.MULTILINE)}
    assert named <= targets


def test_every_fence_of_a_document_is_read() -> None:
    fences = sum(
        len(re.findall(r"^ *```", (ROOT / name).read_text(), re.MULTILINE)) for name in {b.document for b in BLOCKS}
    )
    assert fences == 2 * len(BLOCKS)


@pytest.mark.parametrize(
    ("language", "info", "text"),
    [
        ("", "", CODE),
        ("ruby", "", CODE),
        ("python", " run", CODE),
        ("python", ' not-run="no"', CODE),
        ("text", ' not-run="it is only text"', CODE),
        ("python", "", "print("),
        ("python", ' not-run="a good enough reason"', "print("),
        ("sh", "", "if true; then\n"),
        ("json", "", "{"),
    ],
)
def test_a_block_that_is_wrong_is_found(language: str, info: str, text: str) -> None:
    assert Block("docs/x.md", language, info, text).faults()


@pytest.mark.parametrize("info", ["", ' not-run="a good enough reason"'])
def test_a_block_that_is_right_is_not(info: str) -> None:
    block = Block("docs/x.md", "python", info, CODE)
    assert block.faults() == []
    assert block.is_run == (not info)
