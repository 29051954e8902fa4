"""Where a stack keeps its data, and the file in it that tells the other commands how to reach it."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

FILE = "weft.json"
DEFAULT_FOLDER = Path(".weft")
_SCHEMES: Final = (("https://", True, 443), ("http://", False, 80))  # as the SDK reads them


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
    """Return what `weft up` left in the folder, if anything.

    Raises: ValueError: it is not what `weft up` writes. OSError.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        return Place(**json.loads(path.read_text()))
    except TypeError as error:
        raise ValueError(str(error)) from None


def target_of(address: str) -> tuple[str, bool]:
    """Return grpc's name of an address, and whether it asks for TLS: `https://host` does, `host:port` does not."""
    for scheme, is_tls, port in _SCHEMES:
        if address.startswith(scheme):
            host = address.removeprefix(scheme).rstrip("/")
            has_port = host.rpartition(":")[2].isdigit() and not host.endswith("]")
            return (host if has_port else f"{host}:{port}"), is_tls
    return address, False
