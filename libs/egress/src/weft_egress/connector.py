"""aiohttp's connector under a policy."""

import asyncio
import socket
from ipaddress import IPv4Address, ip_address
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from weft_egress.addresses import Address
from weft_egress.errors import EgressFailedError
from weft_egress.policy import EgressPolicy, not_public
from weft_egress.resolver import Resolve, SystemResolver

RESOLVE_SECONDS: Final = 5.0
MAX_ADDRESSES: Final = 32

AddressInfo = tuple[Any, Any, int, str, tuple[Any, ...]]


def guarded_connector(policy: EgressPolicy, resolve: Resolve | None = None, **options: Any) -> aiohttp.TCPConnector:
    """Return a connector that connects to nothing that the policy does not allow.

    A request that it refuses raises EgressDeniedError. It knows nothing of ports, nor of a proxy, which would connect
    in its stead: use it in sessions without `proxy` and `trust_env`. `options` are TCPConnector's.
    """
    guard = _Guard(policy, resolve or SystemResolver())
    return aiohttp.TCPConnector(resolver=guard, socket_factory=guard.socket, use_dns_cache=False, **options)


class _Guard(AbstractResolver):
    """Checks a name's addresses when it is resolved, and each address again when it is connected to.

    The second check also holds for hosts that are addresses, which are never resolved.
    """

    def __init__(self, policy: EgressPolicy, resolve: Resolve) -> None:
        self._policy, self._resolve = policy, resolve
        self._of_added_names: set[Address] = set()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        is_added = self._policy.is_added(host)
        addresses = await self._addresses_of(host, is_added)
        if is_added:
            self._of_added_names.update(addresses)
        # One that is refused refuses all: a name that has both kinds is after something.
        elif not all(self._policy.allows(address) for address in addresses):
            raise not_public(host)
        return [_result(host, address, port) for address in addresses]

    async def _addresses_of(self, host: str, is_added: bool) -> list[Address]:
        try:
            async with asyncio.timeout(RESOLVE_SECONDS):
                found = await self._resolve(host if is_added else f"{host}.")
        except (OSError, UnicodeError):  # a timeout is an OSError
            raise EgressFailedError(f"the name {host} cannot be resolved") from None
        addresses = [ip_address(each) for each in found[:MAX_ADDRESSES]]
        if not addresses:
            raise EgressFailedError(f"the name {host} cannot be resolved")
        return addresses

    def socket(self, info: AddressInfo) -> socket.socket:
        family, kind, protocol, _, sockaddr = info
        address = ip_address(sockaddr[0])
        if not self._policy.allows(address) and address not in self._of_added_names:
            raise not_public("the address")
        return socket.socket(family, kind, protocol)

    async def close(self) -> None:
        """Nothing is kept."""


def _result(host: str, address: Address, port: int) -> ResolveResult:
    return ResolveResult(
        hostname=host,
        host=str(address),
        port=port,
        family=socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6,
        proto=socket.IPPROTO_TCP,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )
