"""The gate that measures functions and modules."""

import ast
from pathlib import Path

import pytest
import sizes


def a_function(text: str) -> ast.FunctionDef:
    function = ast.parse(text).body[0]
    assert isinstance(function, ast.FunctionDef)
    return function


def test_length_leaves_out_docstring_and_inner_functions() -> None:
    text = 'def outer():\n    """One.\n\n    Two.\n    """\n    def inner():\n        return 1\n    return inner\n'
    assert sizes.length(a_function(text)) == 2


def test_levels_count_an_elif_like_its_if() -> None:
    text = "def f(a):\n    for b in a:\n        if b:\n            pass\n        elif a:\n            pass\n"
    assert sizes.levels(a_function(text)) == 2


def test_levels_start_anew_in_an_inner_function() -> None:
    text = "def f(a):\n    if a:\n        def g():\n            if a:\n                return 1\n"
    assert sizes.levels(a_function(text)) == 1


def deep(header: str) -> str:
    return f"{header}\n    if a:\n        if a:\n            if a:\n                if a:\n                    pass\n"


def test_faults_name_a_deep_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "ROOT", tmp_path)
    file = tmp_path / "some.py"
    file.write_text(deep("def f(a):"))
    assert list(sizes.faults(file)) == ["some.py:1: f: 4 levels; 3 read well"]


def test_faults_are_excused_by_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "ROOT", tmp_path)
    file = tmp_path / "some.py"
    file.write_text(deep("def f(a):  # sizes: one parser, read from top to bottom"))
    assert list(sizes.faults(file)) == []


def test_faults_name_a_long_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "ROOT", tmp_path)
    file = tmp_path / "some.py"
    file.write_text("a = 1\n" * 501)
    assert list(sizes.faults(file)) == ["some.py: 501 lines; 500 is the stop"]
