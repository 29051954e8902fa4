"""One resource, bounded in time, bytes and redirects."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final, Literal, Self
from urllib.parse import urljoin

import aiohttp

from weft_egress.connector import guarded_connector
from weft_egress.decoding import BoundedBody
from weft_egress.errors import EgressDeniedError, EgressFailedError
from weft_egress.policy import EgressPolicy
from weft_egress.resolver import Resolve
from weft_egress.target import Target, parse_target

CHUNK_BYTES: Final = 65_536
MAX_AT_ONCE: Final = 100
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_SHOWN_HEADERS: Final = ("content-type", "content-length", "last-modified", "etag", "retry-after")

Method = Literal["GET", "HEAD"]


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """`total_seconds` is for all of it: names, connections, redirects, the body."""

    total_seconds: float = 30.0
    connect_seconds: float = 10.0
    max_bytes: int = 2 * 1024 * 1024
    max_redirects: int = 5


@dataclass(frozen=True, slots=True)
class Fetched:
    """`url` is where the redirects led. `headers` are a few, in lower case. Of a longer body the beginning is there."""

    url: str
    status: int
    content_type: str
    charset: str
    headers: Mapping[str, str]
    body: bytes
    is_truncated: bool


class Fetcher:
    """Fetches under a policy; open it with `async with`.

    Nothing of one request is known to the next: no cookies, no connections, no credentials. Nothing of the environment
    is used, proxies included.
    """

    def __init__(self, policy: EgressPolicy, limits: FetchLimits, agent: str, resolve: Resolve | None = None) -> None:
        self._policy, self._limits, self._agent, self._resolve = policy, limits, agent, resolve
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        connector = guarded_connector(self._policy, self._resolve, force_close=True, limit=MAX_AT_ONCE)
        self._session = await self._stack.enter_async_context(
            aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._limits.connect_seconds),
                headers={"User-Agent": self._agent, "Accept-Encoding": "gzip", "Accept": "text/*, application/*;q=0.9"},
            )
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def fetch(self, url: str, method: Method = "GET", *, accepts: Callable[[str], bool]) -> Fetched:
        """Return what is there. `accepts(content_type)` decides before the body is read; "" when nothing is said.

        Raises: EgressDeniedError, EgressFailedError.
        """
        try:
            async with asyncio.timeout(self._limits.total_seconds):
                return await self._followed(parse_target(url), method, accepts)
        except aiohttp.ServerTimeoutError:
            raise EgressFailedError("the server does not answer") from None
        except TimeoutError:
            raise EgressFailedError(f"it took longer than {self._limits.total_seconds:g} seconds") from None
        except aiohttp.ClientConnectorCertificateError:
            raise EgressFailedError("the certificate of the server cannot be trusted") from None
        except aiohttp.ClientConnectorError:
            raise EgressFailedError("the server cannot be reached") from None
        except (aiohttp.ClientError, ValueError):  # a server that speaks something else
            raise EgressFailedError("the server went away, or what it answers is not HTTP as it should be") from None

    async def _followed(self, target: Target, method: Method, accepts: Callable[[str], bool]) -> Fetched:
        for _ in range(self._limits.max_redirects + 1):
            async with self._answer(target, method) as answer:
                location = answer.headers.get("Location") if answer.status in _REDIRECTS else None
                if location is None:
                    return await self._read(answer, target, accepts)
            target = redirected(target, location)
        raise EgressFailedError(f"it redirects more than {self._limits.max_redirects} times")

    @asynccontextmanager
    async def _answer(self, target: Target, method: Method) -> AsyncIterator[aiohttp.ClientResponse]:
        self._policy.check(target)
        async with self._session.request(method, target.url, allow_redirects=False) as answer:
            try:
                yield answer
            finally:
                answer.close()  # what is not wanted of the body is not read

    async def _read(self, answer: aiohttp.ClientResponse, target: Target, accepts: Callable[[str], bool]) -> Fetched:
        if answer.status < 200:
            raise EgressFailedError("the server wants to speak another protocol")
        said = answer.headers.get("Content-Type", "")
        content_type = said.partition(";")[0].strip().lower()
        if not accepts(content_type):
            shown = content_type[:100] if content_type.isprintable() else "something else"
            raise EgressFailedError(f"it is {shown or 'of no stated type'}, and only text can be read")
        body = BoundedBody(answer.headers.get("Content-Encoding", "").strip().lower(), self._limits.max_bytes)
        async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
            body.add(chunk)
            if body.is_full:
                break
        return Fetched(
            str(target.url),
            answer.status,
            content_type,
            (answer.charset or "").lower(),
            {name: answer.headers[name][:200] for name in _SHOWN_HEADERS if name in answer.headers},
            body.content,
            body.is_full,
        )


def redirected(target: Target, location: str) -> Target:
    """Return where a redirect leads. Raises: EgressDeniedError."""
    try:
        is_whole = _SCHEME.match(location) is not None
        following = parse_target(location if is_whole else urljoin(str(target.url), location))
    except ValueError:
        raise EgressDeniedError("it redirects to an address that cannot be read") from None
    if target.scheme == "https" and following.scheme == "http":
        raise EgressDeniedError("it redirects from https to http")
    return following
