"""Print each requirement of docs/requirements.md with the tests marked `@pytest.mark.row(...)` for it.

A mark that names no row is an error.
"""

import re
import sys
from collections import defaultdict
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROW = re.compile(r"^\| ([A-G]\d+) \| (.+?) \|", re.MULTILINE)


class Collector:
    """Gathers the marks of the collected tests; a parametrized test counts once."""

    def __init__(self) -> None:
        self.tests: defaultdict[str, set[str]] = defaultdict(set)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            for mark in item.iter_markers("row"):
                for row in mark.args:
                    self.tests[row].add(item.nodeid.split("[")[0])


def main() -> int:
    """Collect without running anything, then print."""
    collector = Collector()
    output = StringIO()
    with redirect_stdout(output):
        code = pytest.main(["--collect-only", "-q", "-m", "", "--rootdir", str(ROOT), str(ROOT / "tests")], [collector])
    if code:
        print(f"{output.getvalue()}rows: the tests cannot be collected")
        return 1
    rows = dict(ROW.findall((ROOT / "docs/requirements.md").read_text()))
    for row, what in rows.items():
        print(f"{row:<4}{what}")
        for test in sorted(collector.tests[row]) or ["— no test"]:
            print(f"      {test}")
    done = sum(bool(collector.tests[row]) for row in rows)
    print(f"{done} of {len(rows)} rows have a test")
    unknown = sorted(set(collector.tests) - set(rows))
    if unknown:
        print(f"rows: marks that name no row: {', '.join(unknown)}")
    return bool(unknown)


if __name__ == "__main__":
    sys.exit(main())
