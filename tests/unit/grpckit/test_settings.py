from typing import Any

import pytest
from weft_grpckit.channels import target_of
from weft_grpckit.settings import Addresses, RedisUrl, ServerSettings, load_settings


class SomeSettings(ServerSettings):
    redis_url: RedisUrl
    threads_addresses: Addresses = "127.0.0.1:7401"


def test_all_faults_are_told_at_once_without_the_secret(monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setenv("WEFT_TOKEN_KEY", "abcdef")
    monkeypatch.setenv("WEFT_LISTEN_ADDRESS", "nowhere")
    monkeypatch.setenv("WEFT_THREADS_ADDRESSES", "a:1,b:2")
    monkeypatch.delenv("WEFT_REDIS_URL", raising=False)
    with pytest.raises(SystemExit) as caught:
        load_settings(SomeSettings)
    told = capsys.readouterr().err
    assert caught.value.code == 2
    assert {line.split(":")[0] for line in told.splitlines()} == {
        "WEFT_TOKEN_KEY",
        "WEFT_LISTEN_ADDRESS",
        "WEFT_THREADS_ADDRESSES",
        "WEFT_REDIS_URL",
    }
    assert "abcdef" not in told


def test_secrets_are_not_shown(monkeypatch: Any) -> None:
    monkeypatch.setenv("WEFT_TOKEN_KEY", "ab" * 32)
    monkeypatch.setenv("WEFT_REDIS_URL", "redis://localhost:1/0")
    settings = load_settings(SomeSettings)
    assert settings.token_key_bytes == b"\xab" * 32
    assert "abab" not in repr(settings)


def test_addresses_become_a_target_that_is_balanced() -> None:
    assert target_of("127.0.0.1:1, 127.0.0.1:2") == "ipv4:127.0.0.1:1,127.0.0.1:2"
    assert target_of("threads:7401") == "dns:///threads:7401"
    for wrong in ("", "a:1,b:1"):
        with pytest.raises(ValueError, match="address"):
            target_of(wrong)
