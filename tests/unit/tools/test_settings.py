"""Settings: defaults, and all faults at once."""

import pytest
from weft_grpckit.settings import load_settings
from weft_tools.server import drain_seconds, limits_of
from weft_tools.settings import Settings


def test_defaults_hold_and_the_lease_is_renewed_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEFT_TOKEN_KEY", "ab" * 32)
    settings = load_settings(Settings)
    limits = limits_of(settings)
    assert (settings.listen_address, limits.lease, limits.renew_interval) == ("127.0.0.1:7403", 4.0, 1.0)
    assert 0 < drain_seconds(settings, limits) < settings.stop_grace_seconds


def test_all_faults_are_told_at_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("WEFT_TOKEN_KEY", "ab")
    monkeypatch.setenv("WEFT_TOOL_PLUGINS", "no_such_module:tools")
    monkeypatch.setenv("WEFT_TOOL_LEASE_SECONDS", "0")
    monkeypatch.setenv("WEFT_EGRESS_PORTS", "443,https")
    monkeypatch.setenv("WEFT_EGRESS_ALLOW", "10.1.2.3/16")
    with pytest.raises(SystemExit) as caught:
        load_settings(Settings)
    assert caught.value.code == 2
    told = capsys.readouterr().err
    assert all(name in told for name in ("WEFT_TOKEN_KEY", "WEFT_TOOL_PLUGINS", "WEFT_TOOL_LEASE_SECONDS"))
    assert "'https' is no port" in told
    assert "'10.1.2.3/16' is neither a network" in told
