"""The connector alone, as a client that checks nothing itself uses it."""

import ssl
from pathlib import Path

import aiohttp
import pytest
from egress_world import SITE, Names, a_policy, a_site
from weft_egress.connector import guarded_connector
from weft_egress.errors import EgressDeniedError, EgressFailedError

CERTIFICATE = Path(__file__).parent / "site_example.pem"


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "inside.example"])
async def test_it_opens_no_socket_to_what_is_not_allowed(host: str) -> None:
    async with a_site() as site:
        names = Names({"inside.example": [["127.0.0.1"]]})
        connector = guarded_connector(a_policy(site), names.resolve)
        async with aiohttp.ClientSession(connector=connector) as session:
            with pytest.raises(EgressDeniedError):
                await session.get(site.url(host=host))
        assert site.hits == 0


async def test_a_redirect_that_the_client_follows_itself_is_stopped() -> None:
    async with a_site() as site:
        connector = guarded_connector(a_policy(site), Names({SITE: [["127.0.0.1"]], "in.example": [["::1"]]}).resolve)
        async with aiohttp.ClientSession(connector=connector) as session:
            with pytest.raises(EgressDeniedError):
                await session.get(site.url(f"/to?http://in.example:{site.port}/"))
        assert site.hits == 1


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_site() as proxy, a_site() as site:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        connector = guarded_connector(a_policy(site), Names({SITE: [["127.0.0.1"]]}).resolve)
        async with aiohttp.ClientSession(connector=connector) as session, session.get(site.url()) as answer:
            assert await answer.text() == "found"
        assert (proxy.hits, site.hits) == (0, 1)


async def test_the_certificate_must_be_that_of_the_name_although_the_address_was_chosen_before() -> None:
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(CERTIFICATE)
    asked_for: list[str | None] = []
    served.sni_callback = lambda _socket, name, _context: asked_for.append(name)
    trusting = ssl.create_default_context(cafile=str(CERTIFICATE))
    async with a_site(tls=served) as site:
        names = Names({SITE: [["127.0.0.1"]], "other.example": [["127.0.0.1"]]})
        connector = guarded_connector(a_policy(site, "127.0.0.1/32"), names.resolve, ssl=trusting)
        async with aiohttp.ClientSession(connector=connector) as session:
            async with session.get(site.url(scheme="https")) as answer:
                assert await answer.text() == "found"
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await session.get(site.url(scheme="https", host="other.example"))
        assert asked_for == [SITE, "other.example"]
        assert f"Host: {SITE}:{site.port}" in site.heads[0]
        assert len(site.heads) == 1, "nothing was asked of a server that could not prove its name"


async def test_a_name_server_that_fails_is_told_without_a_reason() -> None:
    async def resolve(name: str) -> list[str]:
        raise OSError(-2, "server 10.0.0.53 says no")

    async with a_site() as site:
        connector = guarded_connector(a_policy(site), resolve)
        async with aiohttp.ClientSession(connector=connector) as session:
            with pytest.raises(EgressFailedError, match=r"the name gone\.example cannot be resolved$"):
                await session.get(site.url(host="gone.example"))
