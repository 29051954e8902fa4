"""Unit tests do no I/O: a socket to anywhere is an error here, so such a test moves to the folder it belongs to."""

import socket
from typing import NoReturn

import pytest


class NetworkInUnitTestError(Exception):
    """A test under tests/unit opened a network connection."""


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: socket.socket, address: object) -> NoReturn:
        raise NetworkInUnitTestError(f"{address}: move this test to tests/integration")

    for method in ("connect", "connect_ex", "bind"):
        monkeypatch.setattr(socket.socket, method, refuse)
