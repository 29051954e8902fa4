"""Every address of the corpus is tried against a server on this machine, which nobody may reach."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import pytest
from egress_world import SITE, LoopbackSite, a_fetcher, a_site, fetched, free_port
from weft_egress.errors import EgressDeniedError
from weft_egress.fetch import Fetcher

CORPUS: Any = json.loads((Path(__file__).parent / "ssrf_corpus.json").read_text())
URLS = [(why, url) for why, urls in CORPUS["urls"].items() for url in urls]
PRIVATE = {"private.example": [["10.0.0.1"]], "mixed.example": [["93.184.216.34", "127.0.0.1"]]}


@pytest.fixture
async def site() -> AsyncIterator[LoopbackSite]:
    async with a_site(("127.0.0.1", "127.0.0.2", "::1"), port=free_port()) as opened:
        yield opened


async def assert_denied(fetcher: Fetcher, url: str) -> None:
    with pytest.raises(EgressDeniedError) as denied:
        await fetched(fetcher, url)
    assert "127.0.0" not in str(denied.value) or "127.0.0" in url, "a refusal names no address that was not asked for"


def test_the_corpus_is_as_large_as_it_was() -> None:
    assert len(URLS) >= 240
    assert len(CORPUS["redirects"]) >= 23
    assert len(CORPUS["answers"]) >= 21


@pytest.mark.row("E4")
async def test_no_spelling_reaches_the_server(site: LoopbackSite) -> None:
    async with a_fetcher(site, names=PRIVATE) as (fetcher, _):
        assert (await fetched(fetcher, site.url())).body == b"found", "what is allowed is reached"
        assert site.hits == 1
        for why, url in URLS:
            try:
                await assert_denied(fetcher, url.replace("{port}", str(site.port)))
            except BaseException as error:
                raise AssertionError(f"{why}: {url!r}: {error!r}") from error
    assert site.hits == 1


@pytest.mark.row("E4")
async def test_no_redirect_reaches_the_server(site: LoopbackSite) -> None:
    redirects = [each.replace("{port}", str(site.port)) for each in CORPUS["redirects"]]
    async with a_fetcher(site, names=PRIVATE) as (fetcher, _):
        for location in redirects:
            await assert_denied(fetcher, site.url(f"/to?{quote(location, safe='')}"))
    assert site.hits == len(redirects), "the redirects themselves, and nothing behind them"
    assert not any("secret" in asked.split(" HTTP")[0].split("/to?")[0] for asked in site.heads)


@pytest.mark.row("E4")
async def test_no_answer_of_a_name_server_reaches_the_server(site: LoopbackSite) -> None:
    names = {f"n{number}.example": [answer] for number, answer in enumerate(CORPUS["answers"])}
    async with a_fetcher(site, names=names) as (fetcher, scripted):
        for name in names:
            await assert_denied(fetcher, site.url(host=name))
    assert scripted.asked == [f"{name}." for name in names], "each name was asked for once, in no other domain"
    assert site.hits == 0


async def test_the_corpus_bites_an_unguarded_client(site: LoopbackSite) -> None:
    def reach(url: str) -> bool:
        try:
            urlopen(url, timeout=5).close()
        except (OSError, ValueError):
            return False
        return True

    loopback = ("127.0.0.1", "2130706433", "0x7f.1", "0177.1", "127.1", "0", "localhost", "[::1]", "127.0.0.2")
    tried = [site.url(host=host) for host in loopback]
    assert {url.replace(str(site.port), "{port}") for url in tried} <= {url for _, url in URLS}
    reached = [url for url in tried if await asyncio.to_thread(reach, url)]
    assert len(reached) >= 6, reached
    assert site.hits >= 6


async def test_a_name_that_changes_its_address_is_connected_to_where_it_was_checked(site: LoopbackSite) -> None:
    names = {"rebind.example": [["127.0.0.2"], ["127.0.0.1"]]}  # 127.0.0.2 stands for a public address
    async with a_fetcher(site, "127.0.0.2/32", names=names) as (fetcher, scripted):
        assert (await fetched(fetcher, site.url(host="rebind.example"))).body == b"found"
        assert scripted.asked == ["rebind.example."], "one look-up a connection"
        await assert_denied(fetcher, site.url(host="rebind.example"))
    assert site.hits == 1


async def test_a_name_that_changes_its_address_between_redirects_is_checked_again(site: LoopbackSite) -> None:
    names = {"rebind.example": [["127.0.0.2"], ["127.0.0.1"]]}
    async with a_fetcher(site, "127.0.0.2/32", names=names) as (fetcher, _):
        await assert_denied(fetcher, site.url("/to?/secret", host="rebind.example"))
    assert site.hits == 1


async def test_what_the_operator_adds_is_reached_and_nothing_beside_it(site: LoopbackSite) -> None:
    async with a_fetcher(site, "127.0.0.2/32") as (fetcher, _):
        assert (await fetched(fetcher, site.url(host="127.0.0.2"))).status == 200
        assert (await fetched(fetcher, site.url(host=SITE.upper() + "."))).status == 200
        for host in ("127.0.0.1", "127.0.0.3", "[::1]", f"x.{SITE}.localhost"):
            await assert_denied(fetcher, site.url(host=host))
    assert site.hits == 2
