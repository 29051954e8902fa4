"""What servers can do to a fetch, and what it does then."""

import asyncio
import gzip
import ssl
from pathlib import Path

import pytest
from egress_world import LoopbackSite, a_fetcher, a_site, fetched, head
from weft_egress.errors import EgressDeniedError, EgressFailedError
from weft_egress.fetch import FetchLimits, redirected
from weft_egress.target import parse_target

CERTIFICATE = Path(__file__).parent / "site_example.pem"
SMALL = FetchLimits(total_seconds=20, max_bytes=10_000)


async def failure_of(site: LoopbackSite, path: str, limits: FetchLimits | None = None) -> str:
    async with a_fetcher(site, limits=limits) as (fetcher, _):
        with pytest.raises(EgressFailedError) as failed:
            await fetched(fetcher, site.url(path))
    return str(failed.value)


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(head())
    while True:
        writer.write(b"x" * 65_536)
        await writer.drain()


async def endless_headers(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    number = 0
    while True:
        number += 1
        writer.write(f"X-{number}: {'x' * 1000}\r\n".encode())
        await writer.drain()


async def endless_interim_answers(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0)


async def silent(writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def drop_by_drop(writer: asyncio.StreamWriter) -> None:
    writer.write(head(Content_Length=1_000_000))
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.01)


async def test_a_text_comes_with_what_is_said_of_it() -> None:
    async with a_site() as site, a_fetcher(site) as (fetcher, _):
        site.pages["/x"] = head(content_type="Text/HTML; charset=ISO-8859-1", ETag='"1"', Set_Cookie="a=b") + b"\xe9"
        found = await fetched(fetcher, site.url("/x"))
        assert (found.status, found.content_type, found.charset, found.body) == (
            200,
            "text/html",
            "iso-8859-1",
            b"\xe9",
        )
        assert found.headers == {"content-type": "Text/HTML; charset=ISO-8859-1", "etag": '"1"'}
        assert (found.url, found.is_truncated) == (site.url("/x"), False)


async def test_nothing_of_one_request_is_in_the_next() -> None:
    async with a_site() as site, a_fetcher(site) as (fetcher, _):
        site.pages["/login"] = head(Set_Cookie="session=secret; Path=/") + b"in"
        for path in ("/login", "/to?/login", "/after"):
            await fetched(fetcher, site.url(path))
        assert site.hits == 4, "no connection is used twice"
        for asked in site.heads:
            names = {line.partition(":")[0].lower() for line in asked.split("\r\n")[1:] if line}
            assert names == {"host", "user-agent", "accept", "accept-encoding", "connection"}


async def test_redirects_are_followed_five_times_and_no_more() -> None:
    async with a_site() as site:
        for left in range(1, 7):
            site.pages[f"/hop{left}"] = head("307 Temporary Redirect", Location=f"/hop{left - 1}")
        async with a_fetcher(site) as (fetcher, _):
            found = await fetched(fetcher, site.url("/hop5"))
            assert (found.url, found.body) == (site.url("/hop0"), b"found")
        assert "more than 5 times" in await failure_of(site, "/hop6")
        site.pages["/loop"] = head("302 Found", Location="/loop")
        assert "more than 5 times" in await failure_of(site, "/loop")


async def test_a_redirect_from_https_to_http_is_refused() -> None:
    secure = parse_target("https://site.example/a/b?c")
    assert str(redirected(secure, "d").url) == "https://site.example/a/d"
    for location in ("http://site.example/", "HTTP://other.example/x"):
        with pytest.raises(EgressDeniedError, match="from https to http"):
            redirected(secure, location)


async def test_of_an_endless_body_the_beginning_is_read_and_the_server_is_left() -> None:
    async with a_site() as site, a_fetcher(site, limits=SMALL) as (fetcher, _):
        site.pages["/endless"] = endless
        found = await fetched(fetcher, site.url("/endless"))
        assert (len(found.body), found.is_truncated) == (10_000, True)
        async with asyncio.timeout(10):
            await site.hung_up.wait()


@pytest.mark.parametrize(("size", "is_cut"), [(9_999, False), (10_000, False), (10_001, True)])
@pytest.mark.parametrize("is_packed", [True, False])
async def test_a_body_is_cut_where_the_bound_is(size: int, is_cut: bool, is_packed: bool) -> None:
    async with a_site() as site, a_fetcher(site, limits=SMALL) as (fetcher, _):
        body = gzip.compress(b"y" * size) if is_packed else b"y" * size
        encoding = "gzip" if is_packed else ""
        site.pages["/"] = head(Content_Encoding=encoding, Content_Length=len(body)) + body
        found = await fetched(fetcher, site.url())
        assert (found.body, found.is_truncated) == (b"y" * min(size, 10_000), is_cut)


async def test_a_gzip_bomb_is_not_unpacked() -> None:
    bomb = gzip.compress(bytes(100 * 1024 * 1024))
    twice = gzip.compress(bomb)
    async with a_site() as site, a_fetcher(site, limits=SMALL) as (fetcher, _):
        site.pages["/bomb"] = head(Content_Encoding="gzip") + bomb
        site.pages["/twice"] = head(Content_Encoding="gzip, gzip") + twice
        found = await fetched(fetcher, site.url("/bomb"))
        assert (len(found.body), found.is_truncated) == (10_000, True)
        with pytest.raises(EgressFailedError, match="not asked for"):
            await fetched(fetcher, site.url("/twice"))


async def test_packing_that_gives_nothing_ends_too() -> None:
    empty_members = gzip.compress(b"")[:10] + b"\x00\x00\x00\xff\xff" * 10_000  # stored blocks of length 0
    async with a_site() as site, a_fetcher(site, limits=SMALL) as (fetcher, _):
        site.pages["/"] = head(Content_Encoding="gzip") + empty_members
        found = await fetched(fetcher, site.url())
        assert (found.body, found.is_truncated) == (b"", True)


@pytest.mark.parametrize("slow", [silent, drop_by_drop, endless_interim_answers])
async def test_a_slow_server_is_left_when_the_time_is_over(slow: object) -> None:
    async with a_site() as site:
        site.pages["/slow"] = slow  # type: ignore[assignment]
        told = await failure_of(site, "/slow", FetchLimits(total_seconds=0.5))
        assert told == "it took longer than 0.5 seconds"


async def test_huge_headers_are_refused() -> None:
    async with a_site() as site:
        site.pages["/line"] = head(X_Long="x" * 100_000) + b"found"
        site.pages["/many"] = endless_headers
        for path in ("/line", "/many"):
            assert "not HTTP as it should be" in await failure_of(site, path)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"", "went away"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", "went away"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nab", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "went away"),
        (head(content_type="image/png") + b"x", "it is image/png, and only text can be read"),
        (head(Content_Encoding="br") + b"x", "not asked for"),
        (head(Content_Encoding="gzip") + b"not gzip", "cannot be unpacked"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "another protocol"),
    ],
)
async def test_what_cannot_be_used_is_said(answer: bytes, told: str) -> None:
    async with a_site() as site:
        site.pages["/"] = answer
        assert told in await failure_of(site, "/")


async def test_a_server_that_is_not_there_is_said_without_its_address() -> None:
    async with a_site() as site:
        pass
    told = await failure_of(site, "/")
    assert told == "the server cannot be reached"


async def test_a_certificate_that_nobody_vouches_for_is_refused() -> None:
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(CERTIFICATE)
    async with a_site(tls=served) as site, a_fetcher(site) as (fetcher, _):
        with pytest.raises(EgressFailedError, match="certificate"):
            await fetched(fetcher, site.url(scheme="https"))
        assert site.heads == []


async def test_head_asks_for_no_body() -> None:
    async with a_site() as site, a_fetcher(site) as (fetcher, _):
        site.pages["/big"] = head(content_type="video/mp4", Content_Length=10**12)
        found = await fetcher.fetch(site.url("/big"), "HEAD", accepts=lambda _: True)
        assert (found.headers["content-length"], found.body) == (str(10**12), b"")
        assert site.heads[0].startswith("HEAD /big ")
