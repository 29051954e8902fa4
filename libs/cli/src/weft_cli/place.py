"""Where a stack keeps its data, and the file in it that tells the other commands how to reach it."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

FILE = "weft.json"
DEFAULT_FOLDER = Path(".weft")


@dataclass(frozen=True)
class Place:
    """How to reach a running stack: addresses as `host:port` by member, and the development tenant's key."""

    address: str
    api_key: str = field(repr=False)
    tenant_id: str
    addresses: dict[str, str]

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def find_place(folder: Path) -> Place | None:
    """Return what `weft up` left in the folder, if anything."""
    path = folder / FILE
    return Place(**json.loads(path.read_text())) if path.exists() else None
