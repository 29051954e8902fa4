"""The secrets of one data folder: made once, kept in a file that only its owner reads."""

import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

FILE = "secrets.json"


def _secret() -> str:
    return secrets.token_hex(32)


@dataclass(frozen=True)
class Keys:
    """Passwords by role, the key that signs internal tokens, the operator's key; hexadecimal: they need no quoting."""

    postgres: str = field(default_factory=_secret, repr=False)
    weft_owner: str = field(default_factory=_secret, repr=False)
    weft_app: str = field(default_factory=_secret, repr=False)
    weft_queue: str = field(default_factory=_secret, repr=False)
    token_key: str = field(default_factory=_secret, repr=False)
    operator_key: str = field(default_factory=_secret, repr=False)


def load_keys(folder: Path) -> Keys:
    """Return the folder's keys; what a newer version needs besides is made and kept."""
    path = folder / FILE
    known = json.loads(path.read_text()) if path.exists() else {}
    keys = Keys(**{name: value for name, value in known.items() if name in Keys.__dataclass_fields__})
    if asdict(keys) != known:
        write_private(path, asdict(keys))
    return keys


def write_private(path: Path, value: object) -> None:
    """Replace the file at once, readable by its owner only at every moment."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w") as file:
        json.dump(value, file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
