"""What may be reached."""

import re
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_network
from typing import Final

from weft_egress.addresses import Address, Network, is_public
from weft_egress.errors import EgressDeniedError
from weft_egress.target import DEFAULT_PORTS, Target

# Names that are never of the public internet (RFC 6761, 6762, 8375, 9476 and ICANN's internal); a name of one label
# would be looked for in the domains of this machine.
_LOCAL: Final = ("localhost", "local", "internal", "intranet", "lan", "home", "corp", "alt", "onion", "test", "invalid")
_LOCAL_ARPA: Final = "home.arpa"
_NAME: Final = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?")


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """The public internet on `ports`, and on these also the names and networks that the operator adds."""

    ports: frozenset[int] = frozenset(DEFAULT_PORTS.values())
    names: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    def check(self, target: Target) -> None:
        """Raises: EgressDeniedError: it may not be reached, whatever its addresses are."""
        if target.port not in self.ports:
            raise EgressDeniedError(f"port {target.port} may not be reached")
        if target.address is not None:
            if not self.allows(target.address):
                raise not_public(target.host)
        elif target.host not in self.names and _is_local(target.host):
            raise not_public(target.host)

    def is_added(self, host: str) -> bool:
        """Tell whether the operator named this host: then all its addresses are right."""
        return host in self.names

    def allows(self, address: Address) -> bool:
        if is_public(address):
            return True
        if isinstance(address, IPv6Address) and address.scope_id is not None:
            return False
        return any(address in network for network in self.networks)


def policy_of(ports: str, allowed: str) -> EgressPolicy:
    """Return the policy that two comma lists say: ports; names, addresses and networks to add.

    Raises: ValueError, which says what is wrong.
    """
    names, networks = set[str](), list[Network]()
    for entry in _entries(allowed):
        try:
            networks.append(ip_network(entry))
        except ValueError:
            if "/" in entry or _NAME.fullmatch(entry.lower()) is None:
                raise ValueError(f"{entry!r} is neither a network as 10.1.0.0/16 nor a host name") from None
            names.add(entry.lower())
    return EgressPolicy(frozenset(_port(each) for each in _entries(ports)), frozenset(names), tuple(networks))


def not_public(host: str) -> EgressDeniedError:
    return EgressDeniedError(f"{host} is not on the public internet and may not be reached")


def _is_local(host: str) -> bool:
    labels = host.split(".")
    return len(labels) == 1 or labels[-1] in _LOCAL or f".{host}".endswith(f".{_LOCAL_ARPA}")


def _entries(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65_536):
        raise ValueError(f"{text!r} is no port")
    return int(text)
