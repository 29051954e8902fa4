"""What the environment may say."""

import pytest
from weft_grpckit.settings import load_settings
from weft_threads.settings import MigrationSettings, Settings

URL = "postgresql://weft_app:secret@127.0.0.1:5432/weft"


def test_all_faults_are_listed_at_once_without_their_values(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WEFT_APP_DATABASE_URL", "mysql://root:secret@host/db")
    monkeypatch.setenv("WEFT_REDIS_URL", "http://nothing")
    monkeypatch.setenv("WEFT_APP_CONNECTIONS", "0")
    with pytest.raises(SystemExit) as stopped:
        load_settings(Settings)
    told = capsys.readouterr().err
    assert stopped.value.code == 2
    assert {line.split(":")[0] for line in told.splitlines()} == {
        "WEFT_TOKEN_KEY",
        "WEFT_APP_DATABASE_URL",
        "WEFT_QUEUE_DATABASE_URL",
        "WEFT_REDIS_URL",
        "WEFT_APP_CONNECTIONS",
    }
    assert "secret" not in told


def test_defaults_hold_and_secrets_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEFT_TOKEN_KEY", "ab" * 32)
    monkeypatch.setenv("WEFT_APP_DATABASE_URL", URL)
    monkeypatch.setenv("WEFT_QUEUE_DATABASE_URL", URL)
    settings = load_settings(Settings)
    assert (settings.listen_address, settings.runner_lease.total_seconds()) == ("127.0.0.1:7401", 4)
    assert "secret" not in repr(settings)
    assert "abab" not in repr(settings)


def test_migration_needs_its_own_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WEFT_OWNER_DATABASE_URL", raising=False)
    with pytest.raises(SystemExit):
        load_settings(MigrationSettings)
