"""Hold modules and functions within the sizes that read well: 500 lines, 35 lines, 3 levels.

A function that reads better long or deep says why behind its `def`: `# sizes: the reason`. Docstrings do not count as
lines, nor `with` as a level: it branches nowhere.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODULE_LINES, FUNCTION_LINES, LEVELS = 500, 35, 3
EXCUSE = "# sizes: "
BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.TryStar, ast.Match)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def sources() -> Iterator[Path]:
    """Return every Python file that is written by hand, committed or about to be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"]
    listed = subprocess.run(command, check=True, cwd=ROOT, text=True, capture_output=True).stdout.split()
    return (ROOT / name for name in listed if not name.startswith("libs/contracts/") and (ROOT / name).exists())


def levels(node: ast.AST, depth: int = 0) -> int:
    """Return how deep the blocks below `node` go; an elif is no deeper than its if, an inner function starts anew."""
    deepest = depth
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (*FUNCTIONS, ast.Lambda, ast.ClassDef)):
            continue
        is_elif = isinstance(child, ast.If) and isinstance(node, ast.If) and child in node.orelse
        deepest = max(deepest, levels(child, depth + (isinstance(child, BLOCKS) and not is_elif)))
    return deepest


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of a function without its decorators, docstring and inner functions."""
    lines = (function.end_lineno or 0) - function.lineno + 1
    if ast.get_docstring(function, clean=False) is not None:
        lines -= (function.body[0].end_lineno or 0) - function.body[0].lineno + 1
    inner = (child for child in ast.walk(function) if isinstance(child, FUNCTIONS) and child is not function)
    return lines - sum((child.end_lineno or 0) - child.lineno + 1 for child in inner)


def faults(file: Path) -> Iterator[str]:
    """Say what is too large in one file."""
    text = file.read_text()
    lines, name = text.splitlines(), file.relative_to(ROOT)
    if len(lines) > MODULE_LINES:
        yield f"{name}: {len(lines)} lines; {MODULE_LINES} is the stop"
    for function in ast.walk(ast.parse(text)):
        if not isinstance(function, FUNCTIONS) or any(
            EXCUSE in line for line in lines[function.lineno - 1 : function.body[0].lineno]
        ):
            continue
        where = f"{name}:{function.lineno}: {function.name}"
        if length(function) > FUNCTION_LINES:
            yield f"{where}: {length(function)} lines; {FUNCTION_LINES} read well"
        if levels(function) > LEVELS:
            yield f"{where}: {levels(function)} levels; {LEVELS} read well"


if __name__ == "__main__":
    found = [fault for file in sources() for fault in faults(file)]
    print("\n".join(found), end="\n" if found else "")
    sys.exit(bool(found))
