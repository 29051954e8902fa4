"""A server that says what a test wants, byte by byte, and counts who came; and names that resolve as a script says."""

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from urllib.parse import unquote

from weft_egress.fetch import Fetched, Fetcher, FetchLimits
from weft_egress.policy import EgressPolicy

SITE = "site.example"
"""A name that the policy of these tests adds, and that resolves to the server."""

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


def head(status: str = "200 OK", content_type: str = "text/plain", **headers: object) -> bytes:
    named = {"Content-Type": content_type, "Connection": "close"}
    named |= {name.replace("_", "-"): str(value) for name, value in headers.items()}
    lines = [f"{name}: {value}" for name, value in named.items() if value]
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode("utf-8")


@dataclass
class LoopbackSite:
    """`hits` counts connections, `heads` keeps what was asked on them. What is at a path is what `pages` has."""

    port: int = 0
    hits: int = 0
    heads: list[str] = field(default_factory=list)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    pages: dict[str, bytes | Answer] = field(default_factory=dict)

    def url(self, path: str = "/", host: str = SITE, scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.hits += 1
        try:
            asked = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.heads.append(asked)
            page = self._page(unquote(asked.split(" ")[1]))
            if isinstance(page, bytes):
                writer.write(page)
            else:
                await page(writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            self.hung_up.set()
        finally:
            writer.close()

    def _page(self, path: str) -> bytes | Answer:
        if path.startswith("/to?"):
            location = path.removeprefix("/to?").encode()
            return head("302 Found", "").removesuffix(b"\r\n") + b"Location: " + location + b"\r\n\r\n"
        return self.pages.get(path, head() + b"found")


@asynccontextmanager
async def a_site(
    addresses: Sequence[str] = ("127.0.0.1",), *, port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[LoopbackSite]:
    site = LoopbackSite()
    server = await asyncio.start_server(site.serve, addresses, port, ssl=tls)
    site.port = server.sockets[0].getsockname()[1]
    try:
        yield site
    finally:
        server.close()


@contextmanager
def site_in_thread(addresses: Sequence[str]) -> Iterator[LoopbackSite]:
    """Serve on one port of each address, for tests whose clients are other processes, or fixtures of a session."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    opening = a_site(addresses, port=free_port())
    try:
        yield asyncio.run_coroutine_threadsafe(opening.__aenter__(), loop).result(10)
    finally:
        asyncio.run_coroutine_threadsafe(opening.__aexit__(None, None, None), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def free_port() -> int:
    """Return a port that was free on all loopback addresses a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@dataclass
class Names:
    """`answers` are given one after another, the last one for ever. Names end with a dot unless they were added."""

    answers: Mapping[str, Sequence[Sequence[str]]]
    asked: list[str] = field(default_factory=list)

    async def resolve(self, name: str) -> Sequence[str]:
        self.asked.append(name)
        known = self.answers.get(name.removesuffix("."), [[]])
        return known[min(self.asked.count(name), len(known)) - 1]


def a_policy(site: LoopbackSite, *networks: str) -> EgressPolicy:
    return EgressPolicy(frozenset({site.port}), frozenset({SITE}), tuple(ip_network(each) for each in networks))


@asynccontextmanager
async def a_fetcher(
    site: LoopbackSite,
    *networks: str,
    names: Mapping[str, Sequence[Sequence[str]]] | None = None,
    limits: FetchLimits | None = None,
) -> AsyncIterator[tuple[Fetcher, Names]]:
    scripted = Names({SITE: [["127.0.0.1"]], **(names or {})})
    limits = limits or FetchLimits(total_seconds=20)
    async with Fetcher(a_policy(site, *networks), limits, "test", scripted.resolve) as fetcher:
        yield fetcher, scripted


async def fetched(fetcher: Fetcher, url: str) -> Fetched:
    return await fetcher.fetch(url, accepts=lambda content_type: content_type != "image/png")
