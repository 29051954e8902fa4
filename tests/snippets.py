"""The blocks of code in documents: which are run by tests/e2e/test_readme.py, and why the others are not.

Every block names its language. `sh`, `python` and `sql` are run, unless the fence says why not, as
```sh not-run="it needs a key".
"""

import ast
import json
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PATTERNS = ("*.md", "docs/**/*.md", "libs/*/README.md", "services/*/README.md", "deploy/**/*.md", "bench/**/*.md")
DOCUMENTS = sorted({str(file.relative_to(ROOT)) for pattern in PATTERNS for file in ROOT.glob(pattern)})
RUN = frozenset({"sh", "python", "sql"})
# Not code: what is printed, drawn, stored or sent.
SHOWN = frozenset({"text", "mermaid", "json", "yaml"})

_FENCE = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NOT_RUN = re.compile(r' not-run="([^"]*)"')


@dataclass(frozen=True)
class Block:
    """A block of a document; `info` is what its fence says behind the language."""

    document: str
    language: str
    info: str
    text: str

    @property
    def reason(self) -> str:
        """Why it is not run; empty when it is."""
        found = _NOT_RUN.fullmatch(self.info)
        return found[1] if found else ""

    @property
    def is_run(self) -> bool:
        return self.language in RUN and not self.reason

    @property
    def is_up(self) -> bool:
        """Whether it starts a stack and stays in the foreground."""
        return self.is_run and self.text.rstrip().splitlines()[-1] == "make up"

    def faults(self) -> list[str]:
        """Return what is wrong with it, as far as can be said without running it."""
        return [f"{self.document}: {fault}:\n{self.text}" for fault in (*self._in_fence(), *self._in_text())]

    def _in_fence(self) -> Iterable[str]:
        if self.language not in RUN | SHOWN:
            yield f"language {self.language or 'missing'}: use one of {sorted(RUN | SHOWN)}"
        elif self.info and not _NOT_RUN.fullmatch(self.info):
            yield f'the fence says {self.info!r}: only not-run="why" is known'
        elif self.info and (self.language in SHOWN or len(self.reason.split()) < 3):
            yield "not-run is for code, and its reason is a few words"

    def _in_text(self) -> Iterable[str]:
        try:
            if self.language == "python":
                ast.parse(self.text)
            elif self.language == "json":
                json.loads(self.text)
        except (ValueError, SyntaxError) as error:
            yield str(error)
        if self.language == "sh":
            parsed = subprocess.run(["bash", "-n"], input=self.text, capture_output=True, text=True, check=False)
            if parsed.returncode:
                yield parsed.stderr


def blocks_of(document: str) -> list[Block]:
    return [Block(document, *found) for found in _FENCE.findall((ROOT / document).read_text())]


BLOCKS = [block for document in DOCUMENTS for block in blocks_of(document)]
