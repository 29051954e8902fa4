"""Names to addresses, by the system."""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

AT_ONCE: Final = 64

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""Returns the addresses of a name. A name that ends with a dot is not looked for in the domains of this machine."""
LookUp = Callable[[str], Sequence[str]]


def look_up(name: str) -> Sequence[str]:
    """Raises: OSError, UnicodeError."""
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


class SystemResolver:
    """Asks the system in threads of its own.

    A look-up cannot be broken off, and one whose name server is silent takes half a minute. So whoever asks may leave,
    the thread stays until it has an answer; not more than `at_once` of them, and none holds up the end of the process.
    """

    def __init__(self, at_once: int = AT_ONCE, look_up: LookUp = look_up) -> None:
        self._free, self._look_up = asyncio.Semaphore(at_once), look_up

    async def __call__(self, name: str) -> Sequence[str]:
        """Raises: OSError, UnicodeError."""
        await self._free.acquire()
        answered: asyncio.Future[Sequence[str]] = asyncio.get_running_loop().create_future()
        threading.Thread(target=self._ask, args=(name, answered), daemon=True, name="egress-resolve").start()
        return await answered

    def _ask(self, name: str, answered: asyncio.Future[Sequence[str]]) -> None:
        found: Sequence[str] = ()
        failure: Exception | None = None
        try:
            found = self._look_up(name)
        except Exception as error:  # whatever it is: whoever asks is waiting for it
            failure = error
        try:
            answered.get_loop().call_soon_threadsafe(self._tell, answered, found, failure)
        except RuntimeError:  # the loop has ended meanwhile
            pass

    def _tell(self, answered: asyncio.Future[Sequence[str]], found: Sequence[str], failure: Exception | None) -> None:
        self._free.release()
        if answered.done():  # whoever asked has left
            return
        if failure is None:
            answered.set_result(found)
        else:
            answered.set_exception(failure)
