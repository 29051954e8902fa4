"""Addresses as text, and what a policy says of them."""

from ipaddress import ip_address

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from weft_egress.addresses import is_public
from weft_egress.errors import EgressDeniedError
from weft_egress.policy import EgressPolicy, policy_of
from weft_egress.target import parse_target


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://example.com", "https://example.com/"),
        ("HTTPS://Example.COM:443/A?b=C#d", "https://example.com/A?b=C"),
        ("http://example.com.:80?x", "http://example.com/?x"),
        ("http://example.com:8080//a/../b;c?d=e&f=%20", "http://example.com:8080//a/../b;c?d=e&f=%20"),
        ("https://bücher.example/ü?q=ß", "https://xn--bcher-kva.example/%C3%BC?q=%C3%9F"),
        ("https://xn--bcher-kva.example/", "https://xn--bcher-kva.example/"),
        ("https://8.8.8.8/", "https://8.8.8.8/"),
        ("https://[2606:4700:4700:0::1111]:443/", "https://[2606:4700:4700::1111]/"),
        ("https://a_b.example-1.com/'x'", "https://a_b.example-1.com/'x'"),
        ("https://1.example.com/", "https://1.example.com/"),
    ],
)
def test_an_address_has_one_spelling(text: str, url: str) -> None:
    target = parse_target(text)
    EgressPolicy(frozenset({80, 443, 8080})).check(target)
    assert str(target.url) == url
    assert parse_target(url) == target
    assert target.url.raw_host == target.host, "what the client connects to is what was checked"


@settings(deadline=None)
@given(st.text(max_size=40), st.sampled_from(["", "http://", "https://127.0.0.1", "http://[::1]", "http://a.example"]))
@example("A?", "http://")
def test_any_text_is_refused_or_connected_to_where_it_was_checked(text: str, before: str) -> None:
    try:
        target = parse_target(before + text)
    except EgressDeniedError:
        return
    assert target.url.raw_host == target.host
    assert (target.url.port, target.url.scheme) == (target.port, target.scheme)
    assert target.url.user is None
    assert parse_target(str(target.url)) == target


@settings(deadline=None)
@given(st.ip_addresses())
def test_what_python_knows_to_be_private_is_not_public(address: object) -> None:
    known = ip_address(str(address))
    if is_public(known):
        assert known.is_global
        flags = ("multicast", "reserved", "loopback", "link_local", "private", "unspecified")
        assert not any(getattr(known, f"is_{flag}") for flag in flags)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "223.255.255.255", "2606:4700::1111", "2a00:1450::1"])
def test_the_public_internet_is_public(address: str) -> None:
    assert is_public(ip_address(address))


def test_an_operator_adds_ports_networks_and_names() -> None:
    policy = policy_of("443, 8080", "10.1.0.0/16, 192.168.1.7,Wiki, fd00::/8")
    for text in ("http://10.1.2.3:8080/", "https://192.168.1.7/", "https://wiki/", "https://[fd00::1]/"):
        policy.check(parse_target(text))
    for text in (
        "http://10.1.2.3/",
        "https://10.2.0.1/",
        "https://192.168.1.8/",
        "https://wiki2/",
        "https://[fc00::1]/",
    ):
        with pytest.raises(EgressDeniedError):
            policy.check(parse_target(text))


@pytest.mark.parametrize(
    ("ports", "allowed", "said"),
    [
        ("0", "", "'0' is no port"),
        ("http", "", "no port"),
        ("443", "10.1.2.3/16", "10.1.2.3/16"),
        ("443", "a b", "a b"),
    ],
)
def test_a_wrong_setting_says_what_is_wrong(ports: str, allowed: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        policy_of(ports, allowed)
