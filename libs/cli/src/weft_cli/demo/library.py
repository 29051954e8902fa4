"""The documents of this repository."""

import re
from dataclasses import dataclass
from pathlib import Path

MOST_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Text:
    title: str
    text: str


def find_checkout() -> Path:
    """Return the repository that this package lies in, else the folder that we are in."""
    for folder in Path(__file__).resolve().parents:
        if (folder / "protos" / "weft").is_dir():
            return folder
    return Path.cwd()


def read_documents(folder: Path) -> list[Text]:
    """Return the Markdown files of the folder, of docs/ and of the services, as they are."""
    patterns = ("*.md", "docs/*.md", "docs/adr/*.md", "services/*/README.md", "libs/*/README.md")
    paths = sorted(path for pattern in patterns for path in folder.glob(pattern))
    texts = [Text(str(path.relative_to(folder)), path.read_text()) for path in paths]
    return [item for item in texts if item.text.strip() and len(item.text.encode()) <= MOST_BYTES]


def mentions(text: str, word: str) -> bool:
    """Whether a word, or one that begins with it, is there: as a search with stems finds it."""
    return re.search(rf"\b{re.escape(word)}", text, re.IGNORECASE) is not None
