"""An address as text, read once and in one spelling.

Readers of URLs disagree about odd ones, and what one checks another connects to. So what is odd is refused, and the
rest is written anew.
"""

import re
import unicodedata
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final
from urllib.parse import quote

import idna
from yarl import URL

from weft_egress.addresses import Address
from weft_egress.errors import EgressDeniedError

MAX_CHARACTERS: Final = 4_000
DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_PARTS: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^#]*)(?:#.*)?", re.DOTALL)
_AUTHORITY: Final = re.compile(r"(\[[^\[\]]*\]|[^\[\]:]*)(?::([0-9]{1,5}))?", re.ASCII)
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_ODD_CATEGORIES: Final = ("C", "Z")  # controls, formats, surrogates, unassigned; every kind of space
_KEPT_IN_PATHS: Final = "!$%&'()*+,/:;=?@[]~-._"


@dataclass(frozen=True, slots=True)
class Target:
    """`host` is a lower-case ASCII name, or an address, which is then `address` too. `path` has the query with it."""

    scheme: str
    host: str
    port: int
    path: str
    address: Address | None = None

    @property
    def url(self) -> URL:
        host = f"[{self.host}]" if isinstance(self.address, IPv6Address) else self.host
        port = "" if self.port == DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return URL(f"{self.scheme}://{host}{port}{self.path}", encoded=True)


def parse_target(text: str) -> Target:
    """Raises: EgressDeniedError."""
    if len(text) > MAX_CHARACTERS:
        raise EgressDeniedError(f"the address is longer than {MAX_CHARACTERS} characters")
    if "\\" in text or any(unicodedata.category(character)[0] in _ODD_CATEGORIES for character in text):
        raise EgressDeniedError(
            "the address has spaces, backslashes or invisible characters in it; percent-encode them"
        )
    parts = _PARTS.fullmatch(text)
    if parts is None:
        raise EgressDeniedError("the address is not of the form https://host/path")
    scheme = parts[1].lower()
    if scheme not in DEFAULT_PORTS:
        raise EgressDeniedError(f"only http and https can be fetched, not {scheme[:20]}")
    host, port = _host_and_port(parts[2])
    path = quote(parts[3], safe=_KEPT_IN_PATHS)
    if path.find("?") == len(path) - 1:  # a query that is empty is none
        path = path.removesuffix("?")
    address = _address_in(host)
    return Target(
        scheme,
        _name(host) if address is None else str(address),
        DEFAULT_PORTS[scheme] if port is None else port,
        path if path.startswith("/") else f"/{path}",
        address,
    )


def _host_and_port(authority: str) -> tuple[str, int | None]:
    if "@" in authority:
        raise EgressDeniedError("the address has a user name or password in it; leave them out")
    matched = _AUTHORITY.fullmatch(authority)
    if matched is None or not matched[1]:
        raise EgressDeniedError("the host of the address cannot be read")
    port = None if matched[2] is None else int(matched[2])
    if port is not None and not 0 < port < 65_536:
        raise EgressDeniedError("a port is a number from 1 to 65535")
    return matched[1].lower(), port


def _address_in(host: str) -> Address | None:
    """Return the address that a host is, None for a name. Raises: EgressDeniedError where it is oddly spelt."""
    try:
        if host.startswith("["):
            if "%" in host:
                raise EgressDeniedError("an address with a zone is of this machine's network only")
            return IPv6Address(host[1:-1])
        if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
            return IPv4Address(host)
    except AddressValueError:
        raise EgressDeniedError("the host is an IP address in an odd spelling; write it as 192.0.2.1") from None
    return None


def _name(host: str) -> str:
    ascii_host = host.removesuffix(".") if host.isascii() else _ascii_of(host).removesuffix(".")
    labels = ascii_host.split(".")
    if len(ascii_host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise EgressDeniedError("the host is no name of the internet")
    if _NUMBER.fullmatch(labels[-1]):
        raise EgressDeniedError("the host is an IP address in an odd spelling; write it as 192.0.2.1")
    return ascii_host


def _ascii_of(host: str) -> str:
    """Return the name as the DNS has it. What only looks like another name, as ⓔxample or １２７.0.0.1, is refused."""
    if unicodedata.normalize("NFKC", host) != host:
        raise EgressDeniedError("the host has look-alike characters in it")
    try:
        return idna.encode(host, strict=True).decode()
    except (idna.IDNAError, UnicodeError):
        raise EgressDeniedError("the host is no internationalized name") from None
